"""What Python loads by itself in a command that is captured: the folder of ``sitecustomize.py``."""
