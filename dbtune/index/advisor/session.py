"""The edge of the advisor: which servers and files it works with, opened and closed around one piece of advice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dbtune.errors import ServerError, UsageError
from dbtune.index.advice import Advice
from dbtune.index.advisor.advisor import advise
from dbtune.index.advisor.compression import compressed
from dbtune.index.advisor.measuring import measure
from dbtune.index.advisor.questions import questions
from dbtune.index.advisor.selftest import SelfTest, self_test
from dbtune.index.advisor.wanted import Wanted
from dbtune.index.advisor.workers import jobs_for, workers
from dbtune.index.whatif.making import Method, Source
from dbtune.index.whatif.protocol import WhatIf
from dbtune.server.connection import Target, connect, translated
from dbtune.snapshot.value import Snapshot
from dbtune.workload import requests
from dbtune.workload.query import Query

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """With what to work. ``target`` is the server that is advised, ``snapshot`` a file in its place.

    ``copy`` is a server that may be changed, ``throw_away`` says that ``target`` is one. ``jobs`` None is as many as
    the workload needs; ``cluster`` the address of a Dask scheduler. ``requests`` is a stream of captured requests.
    """

    method: Method = Method.TWIN
    target: Target | None = None
    snapshot: Path | None = None
    copy: Target | None = None
    throw_away: bool = False
    measure: bool = False
    jobs: int | None = None
    cluster: str | None = None
    requests: Path | None = None


def run(
    session: Session,
    queries: Sequence[Query],
    wanted: Wanted,
    progress: Callable[[str], None] = lambda text: None,
) -> Advice:
    """Return the advice for the workload; all that was raised for it is gone afterwards.

    :raises UsageError: the snapshot or the requests cannot be read, or something that is needed was not given.
    :raises ServerError: a server cannot be reached or refuses, or has none of the queries' tables.
    :raises Unsafe: a server would be changed, and nobody said that it may.
    """
    if session.target is None and session.method is not Method.TWIN:
        raise UsageError(f"--what-if {session.method} asks a server: name it with --url")
    progress("reading the catalogs" if session.snapshot is None else "reading the snapshot")
    snapshot = _snapshot(session)
    source = Source(method=session.method, snapshot=snapshot, target=session.target, throw_away=session.throw_away)
    progress(f"raising the {session.method} server" if session.method is Method.TWIN else "connecting")
    whatif = source.raised(progress)
    try:
        asked = questions(compressed(queries, snapshot).queries)
        tested = _self_test(session, snapshot, whatif, queries, progress)
        measurer = partial(measure, _copy(session), throw_away=True, progress=progress) if session.measure else None
        with workers(source, jobs_for(len(asked), session.jobs), session.cluster) as found:
            advice = advise(
                snapshot,
                queries,
                whatif,
                wanted,
                workers=found,
                requests=() if session.requests is None else requests.read(session.requests),
                mismatches=tested.mismatches,
                measure=measurer,
                progress=progress,
            )
    finally:
        whatif.close()
    _check_tables(advice, queries)
    return _with_self_test(advice, tested, session)


def _copy(session: Session) -> Target:
    copy = session.copy or (session.target if session.throw_away else None)
    if copy is None:
        raise UsageError(
            "--measure runs the workload: name a copy with --copy URL, or say --throw-away if --url is one"
        )
    return copy


def _snapshot(session: Session) -> Snapshot:
    from dbtune.snapshot import file, read

    if session.snapshot is not None:
        return file.load(session.snapshot)
    if session.target is None:
        raise UsageError("there is neither a server nor a snapshot: give --url or --snapshot")
    with connect(session.target) as connection, translated(session.target):
        return read.read(connection)


def _self_test(
    session: Session, snapshot: Snapshot, whatif: WhatIf, queries: Sequence[Query], progress: Callable[[str], None]
) -> SelfTest:
    """Compare the twin's plans with the server's where there is a server to ask."""
    if session.method is not Method.TWIN or session.target is None:
        return SelfTest()
    progress("comparing the twin's plans with the server's")
    with connect(session.target) as connection, translated(session.target):
        return self_test(connection, whatif, questions(compressed(queries, snapshot).queries))


def _with_self_test(advice: Advice, tested: SelfTest, session: Session) -> Advice:
    if session.method is not Method.TWIN:
        return advice
    if session.target is None:
        said = "the twin's plans were not compared with the server's, for there was none to ask"
        return replace(advice, notes=(*advice.notes, said))
    differing = tested.mismatches
    if not differing:
        which = "the one question" if tested.compared == 1 else f"all {tested.compared} questions"
        said = f"the twin plans {which} as the server does"
        return replace(advice, notes=(*advice.notes, said)) if tested.compared else advice
    named = ", ".join(sorted(differing)[:_SHOWN])
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    said = (
        f"the twin plans {len(differing)} of {tested.compared} questions otherwise than the server does: {named}{more}"
    )
    return replace(advice, warnings=(*advice.warnings, said))


def _check_tables(advice: Advice, queries: Sequence[Query]) -> None:
    """A database that cannot plan a single query is the wrong one: one line says so, instead of one for each query."""
    refused = [each for each in advice.unhelped if each.why.startswith("it cannot be planned")]
    if queries and not advice.outcomes and refused and advice.complete:
        raise ServerError(f"none of {len(queries)} queries can be planned there; {refused[0].query}: {refused[0].why}")
