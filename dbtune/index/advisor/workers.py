"""Who asks the planner: processes of this machine, or the workers of a Dask cluster, each with a server of its own."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context

from dbtune.cluster import connected
from dbtune.index.definition import Index
from dbtune.index.exploration import MakeWhatIf, close_raised
from dbtune.index.whatif.making import Method, Source

_QUESTIONS_A_WORKER = 150
"""Raising a server takes a second or two; fewer questions than this are asked sooner without another one."""

_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """``executor`` has workers that raise what ``source`` describes; without one the advisor's own server is asked."""

    executor: Executor | None = None
    source: Source | None = None
    raised: list[bytes] = field(default_factory=list)

    def make(self, candidates: Sequence[Index]) -> MakeWhatIf | None:
        """Return what each worker raises to know these candidates, None without workers."""
        if self.executor is None or self.source is None:
            return None
        made = self.source.made(candidates)
        self.raised.append(pickle.dumps(made))
        return made


def jobs_for(questions: int, jobs: int | None) -> int:
    """Return how many workers to have for so many questions where ``jobs`` were asked for, or none said."""
    if jobs is not None:
        return jobs
    return max(1, min(os.cpu_count() or 1, _MOST, questions // _QUESTIONS_A_WORKER + 1))


@contextmanager
def workers(source: Source, jobs: int, cluster: str | None = None) -> Iterator[Workers]:
    """Provide workers for the block: those of the scheduler at ``cluster``, or ``jobs`` processes.

    One job is the process itself. A copy on which indexes are built is asked by one alone.

    :raises UsageError: a cluster is asked for, and Dask is not installed.
    :raises ServerError: its scheduler cannot be reached.
    """
    if source.method is Method.REAL:
        yield Workers()
    elif cluster is not None:
        with _cluster(source, cluster) as found:
            yield found
    elif jobs > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_ignore_interrupts) as executor:
            yield Workers(executor=executor, source=source)
    else:
        yield Workers()


def _ignore_interrupts() -> None:
    """Ctrl-C goes to all processes of a terminal; what the workers found is not lost if only the first one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _cluster(source: Source, address: str) -> Iterator[Workers]:
    with connected(address) as client:
        executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        found = Workers(executor=executor, source=source)
        try:
            yield found
        finally:
            for factory in found.raised:
                client.run(close_raised, factory)
