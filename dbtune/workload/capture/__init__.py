"""Where queries come from."""
