"""Every error that dbtune raises on purpose, with the exit code that the command line gives it.

    DbtuneError
    ├── UsageError           2   wrong usage
    │   └── BadFile          2   an input file that cannot be used: which, where, what to do
    ├── ServerError          3   the server is unreachable, or refuses
    │   └── EmbeddedError    3   the embedded server cannot be started or stopped
    ├── Unsafe               4   refused, because it could do harm
    └── GaveUp               5   a budget, lock or time ran out

A message is one line: what happened, where, and what to do about it. It never holds a password.
"""

from __future__ import annotations

from pathlib import Path


class DbtuneError(Exception):
    """Base of all; the command line prints the message and exits with :attr:`exit_code`."""

    exit_code = 1


class UsageError(DbtuneError):
    """The command was called in a way that cannot work."""

    exit_code = 2


class BadFile(UsageError):
    """An input file that cannot be used. ``line`` counts from 1; None where no line is to blame."""

    def __init__(self, path: Path | str, reason: str, *, line: int | None = None) -> None:
        self.path = Path(path)
        self.reason = reason
        self.line = line
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {reason}")


class ServerError(DbtuneError):
    """The server is unreachable, or refuses what was asked."""

    exit_code = 3


class EmbeddedError(ServerError):
    """The embedded server cannot be started, stopped or removed."""


class Unsafe(DbtuneError):
    """Refused, because it could do harm."""

    exit_code = 4


class GaveUp(DbtuneError):
    """A budget of time, retries or locks ran out."""

    exit_code = 5
