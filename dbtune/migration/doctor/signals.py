"""What ends a block of statements before its end."""

from __future__ import annotations

from dbtune.migration.doctor.values import Value


class Signal(Exception):
    """Base of all."""


class Return(Signal):
    def __init__(self, value: Value) -> None:
        self.value = value


class Break(Signal):
    pass


class Continue(Signal):
    pass


class Raised(Signal):
    pass


class Through(Signal):
    """A signal of a with block's body, on its way through the generator that the block was entered by."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
