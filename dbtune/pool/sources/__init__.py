"""What users already have that tells who will connect: read as text, never run. One reader a module."""
