"""What applications import to be captured: it needs SQLAlchemy and nothing else that is not Python's own."""
