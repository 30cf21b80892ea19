"""Running somebody's command so that every engine in it is recorded, without a change to its code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import dbtune
from dbtune.errors import UsageError

_HOOK = Path(__file__).parent / "hook"
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def environment(recording: Path, *, sample: float, max_bytes: int) -> dict[str, str]:
    """Return the environment in which Python records what its engines send, in child processes too."""
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{_HOOK}{os.pathsep}{path}" if path else str(_HOOK),
        "DBTUNE_RECORDING": str(recording),
        "DBTUNE_RECORDING_CODE": str(Path(dbtune.__file__).parent.parent),
        "DBTUNE_RECORDING_SAMPLE": repr(sample),
        "DBTUNE_RECORDING_BYTES": str(max_bytes),
    }


def run(command: Sequence[str], variables: dict[str, str]) -> int:
    """Run the command until it ends and return its exit code, 128 and the signal's number if one ended it.

    Signals for us are passed on to it. Ctrl-C reaches it from the terminal by itself.

    :raises UsageError: there is no such command, or it cannot be run.
    """
    program = shutil.which(command[0], path=variables.get("PATH"))
    if program is None:
        raise UsageError(f"{command[0]}: there is no such command; write dbtune capture sqlalchemy -- COMMAND …")
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number != signal.SIGINT or not _is_from_terminal():
            child.send_signal(number)

    before = {number: signal.getsignal(number) for number in _FORWARDED}
    try:
        child = subprocess.Popen([program, *command[1:]], env=variables)
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        for number in _FORWARDED:
            signal.signal(number, forward)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _is_from_terminal() -> bool:
    """Whether the terminal sends Ctrl-C to all of the foreground group, the command included."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
