"""The faults: each puts something in the way of an upgrade, and leaves it there while the state is looked at.

A fault is a generator. It yields how the first run's clients ended; what stands after the yield is what an operator
does then, before the same is run again.
"""

from dbtune.migration.verify.injections import crashes, deployers, leftovers, rounds, rows, scripts, waits
from dbtune.migration.verify.injections.fault import Fault

ALL: tuple[Fault, ...] = (
    *rounds.FIRST,
    *crashes.FAULTS,
    *waits.FAULTS,
    *leftovers.FAULTS,
    *rows.FAULTS,
    *deployers.FAULTS,
    *scripts.FAULTS,
    *rounds.FAULTS,
)
"""In the order in which they are put in."""

__all__ = ["ALL", "Fault"]
