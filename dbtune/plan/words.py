"""Numbers and names as findings say them."""

from __future__ import annotations

from dbtune.plan.arithmetic import Count
from dbtune.plan.tree import Node


def number(value: float) -> str:
    """Return 18000 as ``18,000``, 0.04 as ``0.04``."""
    if abs(value) >= 10 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.2g}"


def count(total: Count) -> str:
    """Return a total with what rounding left open, such as ``≈ 12 (±150)``; less than a hundredth is not worth it."""
    if total.is_exact:
        return number(total.value)
    if total.error <= 0.01 * total.value:
        return f"≈ {number(total.value)}"
    return f"≈ {number(total.value)} (±{number(total.error)})"


def percent(share: float) -> str:
    """Return 0.123 as ``12 %``."""
    return "< 1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")


def milliseconds(value: float) -> str:
    """Return 1234.5 as ``1,235 ms``, 0.0123 as ``0.01 ms``."""
    if value >= 100:
        return f"{value:,.0f} ms"
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"


def size(blocks: float) -> str:
    """Return a number of 8 kB blocks as ``17 MB``."""
    amount = blocks * 8.0
    for unit in ("kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}" if amount >= 10 or amount.is_integer() else f"{amount:.1f} {unit}"


def relation(node: Node) -> str:
    """Return what a node reads, for people: its table, else its own kind."""
    return node.relation or node.label


def plural(value: float, noun: str) -> str:
    """Return ``1 row`` or ``2 rows``."""
    return f"{number(value)} {noun}" if value == 1 else f"{number(value)} {noun}s"


def unexpected(rows: Count, expected: float) -> str:
    """Return ``≈ 20,000 rows where 200 were expected``."""
    came = f"{count(rows)} {'row' if rows.value == 1 else 'rows'}"
    return f"{came} where {number(expected)} {'was' if expected == 1 else 'were'} expected"


def excerpt(text: str, limit: int = 90) -> str:
    """Return the text, without its end where it is longer than that."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
