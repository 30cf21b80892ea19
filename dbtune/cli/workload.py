"""What explain and check share: choosing queries from a folder, and explaining them on a server."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbtune.cli import output
from dbtune.errors import BadFile, ServerError, UsageError

if TYPE_CHECKING:
    from dbtune.plan.baseline import Baseline
    from dbtune.plan.report import Report
    from dbtune.plan.survey import Wanted
    from dbtune.server.connection import Target
    from dbtune.workload.query import Query, Workload


@dataclass(frozen=True, slots=True)
class Chosen:
    """The queries to explain, and what is wrong with those files that cannot be."""

    queries: tuple[Query, ...]
    problems: tuple[BadFile, ...]


def choose(folder: Path, names: Sequence[str], param_set: str | None = None) -> Chosen:
    """Return the queries of these names, all of the folder without any.

    :raises UsageError: there is no such folder, query or parameter set.
    """
    from dbtune.workload import files

    loaded = files.load_folder(folder)
    broken = [p.path.stem for p in loaded.problems]
    queries = _select(loaded.workload, names, broken, folder)
    _check_set(queries, param_set)
    stems = {name.removesuffix(".sql") for name in names}
    return Chosen(queries, tuple(p for p in loaded.problems if not names or p.path.stem in stems))


def _select(workload: Workload, names: Sequence[str], broken: Sequence[str], folder: Path) -> tuple[Query, ...]:
    wanted = [name for name in dict.fromkeys(n.removesuffix(".sql") for n in names) if name not in broken]
    if names and not wanted:
        return ()
    try:
        return workload.select(wanted)
    except KeyError as missing:
        name = str(missing.args[0])
        known = [query.name for query in workload.queries]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"it holds {', '.join(known[:3]) or 'none that can be read'}"
        more = "…" if not near and len(known) > 3 else ""
        raise UsageError(f"{folder} holds no query {name}; {hint}{more}") from None


def _check_set(queries: Iterable[Query], wanted: str | None) -> None:
    known = sorted({chosen.name for query in queries for chosen in query.sets})
    if wanted is not None and wanted not in known:
        raise UsageError(f"no query has a parameter set {wanted}; known: {', '.join(known) or 'none'}")


def run(url: str | None, queries: Sequence[Query], wanted: Wanted, baseline: Baseline | None, quiet: bool) -> Report:
    """Explain the queries on the server that ``url`` or the environment names; Ctrl-C leaves what is done.

    :raises ServerError: it cannot be reached, or has none of the queries' tables.
    :raises Unsafe: changes were to be run on a server that is marked as production.
    """
    from dbtune.plan.survey import survey
    from dbtune.server import connection as server
    from dbtune.server import production
    from dbtune.server.interrupt import cancelling

    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target):
        if wanted.options.write_ok:
            production.check_not_marked(connection, "--write-ok")
        with cancelling(), output.progress("explaining", len(queries), quiet) as step:
            report = survey(connection, queries, wanted, server=_origin(target), baseline=baseline, step=step)
    _check_tables(report)
    return report


def _origin(target: Target) -> str:
    if target.source == "--url":
        return str(target)
    return f"{target} ({'embedded server' if target.source == 'embedded' else '$' + target.source})"


def _check_tables(report: Report) -> None:
    """A database without any of the tables is the wrong one: one line says so, instead of one for each query."""
    if report.outcomes and all(o.explained.sqlstate in ("42P01", "3F000") for o in report.outcomes):
        hint = "; dbtune party load makes the party service's" if "embedded" in report.server else ""
        raise ServerError(f"{report.server} has none of the tables of {len(report.outcomes)} queries{hint}")
