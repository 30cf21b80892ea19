"""Indexes: what they are, which could help, what they would cost, and which set of them is best."""
