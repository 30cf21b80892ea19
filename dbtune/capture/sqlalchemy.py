"""Recording what SQLAlchemy engines send, from inside an application.

    from dbtune.capture.sqlalchemy import record

    record(engine, "queries.rec")            # from here on, until the process ends
    with record(engine, "queries.rec"):      # or during a block
        ...

Then ``dbtune capture sqlalchemy --from queries.rec`` writes the query files. With ``None`` for an engine all engines of
the process are recorded, those of later too. Without a path the recording stays in memory: ``.executions``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from dbtune.workload.capture.recording import MAX_BYTES, Recording
from dbtune.workload.capture.sqlalchemy import Recorder

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from dbtune.workload.capture.execution import Execution

__all__ = ["Recorded", "record"]

_under_way: set[Recorded] = set()
"""Kept here, for an application need not keep what :func:`record` returned."""


class Recorded:
    """A recording under way; :meth:`stop`, or the end of a ``with`` block, ends it."""

    def __init__(self, recorder: Recorder, recording: Recording | None, listening: ExitStack) -> None:
        self._recorder = recorder
        self._recording = recording
        self._listening = listening
        _under_way.add(self)

    @property
    def executions(self) -> list[Execution]:
        """What was sent until now, where it is kept in memory."""
        return self._recorder.executions

    def route(self, name: str) -> Any:
        """Label what this thread or task sends inside a ``with`` block; the innermost label wins."""
        return self._recorder.route(name)

    def flush(self) -> None:
        """Write what was sent until now to the file; that happens by itself several times a second."""
        if self._recording is not None:
            self._recording.flush()

    def stop(self) -> None:
        """Stop listening, and write the rest."""
        _under_way.discard(self)
        self._listening.close()
        if self._recording is not None:
            self._recording.close()

    def __enter__(self) -> Recorded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def record(
    engine: Engine | AsyncEngine | None = None,
    path: str | os.PathLike[str] | None = None,
    *,
    sample: float = 1.0,
    max_bytes: int = MAX_BYTES,
    warn: Callable[[str], None] | None = None,
) -> Recorded:
    """Record from now on what ``engine`` sends, on all its connections and threads, and in forks of the process.

    ``sample`` is the part of the statements to record, between 0 and 1. A recording that reached ``max_bytes``, or
    whose file cannot be written, ends with one line to ``warn`` (stderr by default); the application goes on.

    :raises ValueError: ``sample`` is no such part.
    """
    if not 0 < sample <= 1:
        raise ValueError(f"sample is the part of the statements to record, over 0 and up to 1, not {sample}")
    recorder = Recorder(sample)
    listening = ExitStack()
    target: Any = Engine if engine is None else getattr(engine, "sync_engine", engine)
    listening.enter_context(recorder.listening(target))
    recording = None if path is None else Recording(Path(path).absolute(), recorder, max_bytes=max_bytes, warn=warn)
    return Recorded(recorder, recording, listening)
