"""A fault as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dbtune.migration.verify.process import Ended
from dbtune.migration.verify.scene import Scene

Act = Callable[[Scene], Iterator[list[Ended]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``name`` is what ``--only`` takes, ``says`` what happens, in a few words; ``act`` does it."""

    name: str
    says: str
    act: Act
