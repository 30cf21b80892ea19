"""Durations, amounts and counts as people read them."""

from __future__ import annotations

_STEPS = ((86_400.0, "d", 3600.0, "h"), (3600.0, "h", 60.0, "min"), (60.0, "min", 1.0, "s"))


def duration(seconds: float) -> str:
    """Return 0.027 as ``27 ms``, 75 as ``1 min 15 s``, 90000 as ``1 d 1 h``; the second unit while the first is few."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    for large, name, small, below in _STEPS:
        if seconds >= large:
            whole, rest = divmod(seconds, large)
            parts = int(rest // small)
            return f"{whole:.0f} {name}" + (f" {parts} {below}" if parts and whole < 10 else "")
    return "1 min"


def amount(size: float) -> str:
    """Return bytes as ``1.2 GB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"


def per_second(rate: float, noun: str = "") -> str:
    """Return a rate as ``120/s`` or ``120 transactions/s``; slow ones by the minute or hour."""
    noun = f" {noun}" if noun else ""
    if rate >= 0.1 or rate == 0:
        return f"{rate:,.0f}{noun}/s" if rate >= 10 or rate == 0 else f"{rate:.1f}{noun}/s"
    return f"{rate * 60:.1f}{noun}/min" if rate * 60 >= 0.1 else f"{rate * 3600:.2g}{noun}/h"


def plural(count: float, noun: str) -> str:
    """Return ``1 session`` or ``2 sessions``."""
    return f"{count:,.0f} {noun}" if count == 1 else f"{count:,.0f} {noun}s"


def share(part: float) -> str:
    """Return 0.123 as ``12 %``."""
    return "< 1 %" if 0 < part < 0.01 else f"{part * 100:.0f} %"
