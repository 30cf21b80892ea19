"""Seconds, as people say them."""

from __future__ import annotations


def spoken(seconds: float) -> str:
    """Return 192.3 as ``3 min 12 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
