"""What others would set: rules of thumb and defaults, to stand beside a prediction. Connections of all processes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SQLALCHEMY = (5, 10)
"""pool_size and max_overflow of ``create_engine``."""

PGTUNE: Mapping[str, int] = MappingProxyType({"web": 200, "oltp": 300, "dw": 40, "desktop": 20, "mixed": 100})
"""max_connections by kind of application, of pgtune (le0pard)."""


def hikari(cores: int, spindles: int = 1) -> int:
    """Return cores × 2 + effective spindles, of HikariCP's page "About Pool Sizing", after PostgreSQL's wiki."""
    return cores * 2 + spindles


def doubled(cores: int) -> int:
    """Return cores × 2."""
    return cores * 2
