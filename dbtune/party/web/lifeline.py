"""Not outliving whoever started the service: however that ends, its end of a pipe closes.

The pipe is the process's standard input. A signal at the parent's death (PR_SET_PDEATHSIG) would come when the thread
ends that started the process, which may be any, so that is used only between gunicorn's master and its workers.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable

_LOOK_S = 1.0
_PR_SET_PDEATHSIG = 1


def watch(on_tick: Callable[[], None], on_forced: Callable[[], None], grace_s: float) -> None:
    """End this process and its group by SIGTERM when standard input closes, by SIGKILL ``grace_s`` later.

    ``on_tick`` is called every second until then, ``on_forced`` before the SIGKILL.
    """
    parent = os.getppid()

    def work() -> None:
        while os.getppid() == parent:
            readable, _, _ = select.select([0], [], [], _LOOK_S)
            if readable and not os.read(0, 1024):
                break
            on_tick()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        on_forced()
        os.killpg(0, signal.SIGKILL)  # this process leads its own session

    threading.Thread(target=work, name="lifeline", daemon=True).start()


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that forked it is gone (prctl(2), Linux only)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
