"""PostgreSQL tuning and index migrations, with the evidence attached."""

__version__ = "0.1.0"
