"""``dbtune explain``: plans of captured queries, what they scan, and what would help."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import ServerError, Unsafe, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dbtune.plan.explain import Explained, Options
    from dbtune.plan.report import Report
    from dbtune.workload.query import Query, Workload


class Threshold(StrEnum):
    """The severity from which findings make the command fail."""

    INFO = "info"
    WARN = "warn"
    HIGH = "high"
    NEVER = "never"


def explain(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Queries to explain; all of the folder by default.")
    ] = None,
    tree: Annotated[
        str | None, typer.Option("--tree", metavar="NAME", help="Show this query's plan as a tree, and only it.")
    ] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Plan without running anything.")] = False,
    param_set: Annotated[
        str | None,
        typer.Option(metavar="SET", help="The parameter set to run where a query has it; else its first."),
    ] = None,
    write_ok: Annotated[
        bool,
        typer.Option("--write-ok", help="Run statements that change data too, and roll them back."),
    ] = False,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Stop a statement after this time, such as 500ms.")
    ] = "30s",
    fail_on: Annotated[
        Threshold, typer.Option(help="Exit 1 on a finding of this severity or worse.")
    ] = Threshold.NEVER,
    query_dir: options.QueryDir = Path("queries"),
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Run EXPLAIN ANALYZE over captured queries: time, rows, buffers, sequential scans, and what would help.

    Everything runs in read-only transactions that are rolled back; statements that change data are only planned.

    \b
    Example: dbtune explain
             dbtune explain --tree select-business-by-business-ref
             dbtune explain --format json --output report.json --fail-on high
    """
    from dbtune.plan.explain import Options
    from dbtune.workload import files

    limit = Options(analyze=not plan_only, write_ok=write_ok, statement_timeout_ms=_timeout(timeout))
    output.check_writable(output_file)
    loaded = files.load_folder(query_dir)
    chosen = [*(names or ()), tree] if tree is not None else names or []
    queries = _select(loaded.workload, chosen, [p.path.stem for p in loaded.problems], query_dir)
    _check_set(queries, param_set)
    report = _run(url, queries, param_set, limit, quiet)
    _check_tables(report)
    problems = [p for p in loaded.problems if not chosen or p.path.stem in chosen]
    problems += [o.explained.fault for o in report.outcomes if o.explained.fault is not None]
    for problem in problems:
        typer.echo(f"dbtune: {problem}", err=True)
    from dataclasses import replace

    report = replace(report, problems=tuple(problems))
    output.write(_render(report, tree, format, output_file), output_file)
    _exit(report, fail_on)


def _timeout(text: str) -> int:
    limit = round(duration.milliseconds(text))
    if not 1 <= limit <= 2**31 - 1:
        raise UsageError("--timeout must be between 1ms and 24 days")
    return limit


def _select(workload: Workload, names: list[str], broken: list[str], folder: Path) -> tuple[Query, ...]:
    wanted = [name for name in dict.fromkeys(n.removesuffix(".sql") for n in names) if name not in broken]
    if names and not wanted:
        return ()
    try:
        return workload.select(wanted)
    except KeyError as missing:
        name = str(missing.args[0])
        known = [query.name for query in workload.queries]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else f"the folder holds {len(known)} queries, such as {known[0]}"
            if known
            else "none there can be read"
        )
        raise UsageError(f"{folder} holds no query {name}; {hint}") from None


def _check_set(queries: Iterable[Query], wanted: str | None) -> None:
    known = sorted({chosen.name for query in queries for chosen in query.sets})
    if wanted is not None and wanted not in known:
        raise UsageError(f"no query has a parameter set {wanted}; known: {', '.join(known) or 'none'}")


def _run(url: str | None, queries: tuple[Query, ...], param_set: str | None, limit: Options, quiet: bool) -> Report:
    from dbtune.plan import explain as plans
    from dbtune.plan.report import Report, outcome, relations
    from dbtune.server import connection as server
    from dbtune.server.catalog import table_facts
    from dbtune.server.interrupt import cancelling

    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target):
        if limit.write_ok:
            _check_not_production(connection)
        done: list[Explained] = []
        interrupted = False
        try:
            with cancelling(), output.progress("explaining", len(queries), quiet) as step:
                for query in queries:
                    step(query.name)
                    done.append(plans.explain(connection, query, plans.choose_set(query, param_set), limit))
        except KeyboardInterrupt:
            interrupted = True
            connection.rollback()
        facts = table_facts(connection, relations(done))
        version = server.version_text(server.server_version_num(connection))
    if target.source != "--url":
        origin = f"{target} ({'embedded server' if target.source == 'embedded' else '$' + target.source})"
    else:
        origin = str(target)
    return Report(
        server=origin,
        version=version,
        outcomes=tuple(outcome(explained, facts) for explained in done),
        interrupted=interrupted,
        selected=len(queries),
    )


def _check_not_production(connection: Connection) -> None:
    """Refuse to run changes on a server that its owner marked: ALTER DATABASE … SET dbtune.production = on."""
    marked = connection.exec_driver_sql("/* dbtune */ SELECT current_setting('dbtune.production', true)").scalar()
    connection.rollback()
    if str(marked or "").lower() in ("on", "true", "yes", "1", "t", "y"):
        raise Unsafe("this server is marked as production (dbtune.production): --write-ok is refused here")


def _check_tables(report: Report) -> None:
    """A database without any of the tables is the wrong one: one line says so, instead of one for each query."""
    if report.outcomes and all(o.explained.sqlstate in ("42P01", "3F000") for o in report.outcomes):
        hint = "; dbtune party load makes the party service's" if "embedded" in report.server else ""
        raise ServerError(f"{report.server} has none of the tables of {len(report.outcomes)} queries{hint}")


def _render(report: Report, tree: str | None, format: options.Format, output_file: Path | None) -> str:
    if format is options.Format.JSON:
        from dbtune.render import document

        return document.to_json(document.explain(report))
    width = 200 if output_file is not None else output.width()
    if tree is not None:
        from dbtune.render.tree import tree as render_tree

        trees = "\n".join(render_tree(outcome, width) for outcome in report.outcomes)
        return f"```\n{trees}```\n" if format is options.Format.MARKDOWN else trees
    from dbtune.render import explain as tables

    return tables.explain(report, width, markdown=format is options.Format.MARKDOWN)


def _exit(report: Report, fail_on: Threshold) -> None:
    """End with the code that tells the worst that happened."""
    from dbtune.plan.explain import Status
    from dbtune.plan.finding import Severity

    if report.interrupted:
        raise typer.Exit(130)
    if report.problems:
        raise typer.Exit(2)
    late = [o.query.name for o in report.outcomes if o.explained.timed_out]
    if late:
        typer.echo(f"dbtune: gave up on {', '.join(late)}: see the reason there; --timeout gives more time", err=True)
        raise typer.Exit(5)
    skipped = [o for o in report.outcomes if o.explained.status is Status.SKIPPED]
    if skipped and len(skipped) == len(report.outcomes):
        raise ServerError(f"no query could be planned; {skipped[0].query.name}: {skipped[0].explained.reason}")
    worst = report.worst_severity()
    if fail_on is not Threshold.NEVER and worst is not None and worst >= Severity[fail_on.value.upper()]:
        raise typer.Exit(1)
