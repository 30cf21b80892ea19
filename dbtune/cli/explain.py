"""``dbtune explain``: plans of captured queries, what they scan, and what would help."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import duration, options, output
from dbtune.errors import BadFile, ServerError, UsageError

if TYPE_CHECKING:
    from dbtune.plan.report import Report


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
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE|-", help="Read plans from a file instead: JSON, YAML, XML or text."),
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
    no_prove: Annotated[
        bool, typer.Option("--no-prove", help="Do not run again with more work_mem what went to disk.")
    ] = False,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Stop a statement after this time, such as 500ms.")
    ] = "30s",
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the report as a baseline for --compare and check.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show what changed since a baseline, query by query.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one self-contained page with every plan.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List what can be found, and end.")] = False,
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
             dbtune explain --save before.json && dbtune explain --compare before.json
             dbtune explain --plan plan.txt
    """
    for path in (output_file, save, html):
        output.check_writable(path)
    if rules:
        _list_rules(format, output_file)
        return
    if plan is not None:
        if names or tree or compare or plan_only or param_set or write_ok:
            raise UsageError("--plan reads plans that exist: it takes no names and no options about running")
        report = _read(plan)
    else:
        report = _run(
            names or (),
            tree,
            param_set,
            query_dir,
            url,
            compare,
            plan_only=plan_only,
            write_ok=write_ok,
            prove=not no_prove,
            paths=save is not None,
            timeout=timeout,
            quiet=quiet,
        )
    for problem in report.problems:
        typer.echo(f"dbtune: {problem}", err=True)
    text = _render(report, tree, format, output_file, trees=plan is not None, compared=compare is not None)
    output.write(text, output_file)
    _save(report, save, html)
    _exit(report, fail_on)


def _run(
    names: list[str] | tuple[()],
    tree: str | None,
    param_set: str | None,
    query_dir: Path,
    url: str | None,
    compare: Path | None,
    *,
    plan_only: bool,
    write_ok: bool,
    prove: bool,
    paths: bool,
    timeout: str,
    quiet: bool,
) -> Report:
    from dbtune.cli import workload
    from dbtune.plan import baseline
    from dbtune.plan.explain import Options
    from dbtune.plan.survey import Wanted

    limit = Options(analyze=not plan_only, write_ok=write_ok, statement_timeout_ms=_timeout(timeout))
    before = baseline.load(compare) if compare is not None else None
    chosen = workload.choose(query_dir, [*names, tree] if tree is not None else list(names), param_set)
    wanted = Wanted(param_set=param_set, options=limit, compare=paths, prove=prove)
    report = workload.run(url, chosen.queries, wanted, before, quiet)
    faults = [o.explained.fault for o in report.outcomes if o.explained.fault is not None]
    return replace(report, problems=(*chosen.problems, *faults))


def _timeout(text: str) -> int:
    limit = round(duration.milliseconds(text))
    if not 1 <= limit <= 2**31 - 1:
        raise UsageError("--timeout must be between 1ms and 24 days")
    return limit


def _read(name: str) -> Report:
    """Return a report on plans in a file or on stdin; no server is asked."""
    import sys

    from dbtune.plan.explain import Explained, Status
    from dbtune.plan.formats import UnreadablePlan, documents
    from dbtune.plan.parse import NotAPlan, parse
    from dbtune.plan.report import Report, outcome
    from dbtune.workload.query import Query

    path = Path("stdin" if name == "-" else name)
    try:
        data = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    # Log files and pasted text may hold anything: what is not UTF-8 is kept as a mark.
    text = data.decode("utf-8", errors="replace")
    try:
        plans = [plan for document in documents(text) for plan in parse(document)]
    except UnreadablePlan as error:
        raise BadFile(path, error.reason, line=error.line) from None
    except NotAPlan as error:
        raise BadFile(path, str(error)) from None
    except RecursionError:
        raise BadFile(path, "is nested too deeply to be a plan") from None
    outcomes = []
    for number, plan in enumerate(plans, 1):
        statement = str(plan.raw.get("Query Text", ""))
        label = path.stem if len(plans) == 1 else f"{path.stem}-{number}"
        status = Status.MEASURED if plan.is_analyzed else Status.PLANNED
        reason = None if plan.is_analyzed else "the plan was made without ANALYZE: costs and estimates only"
        explained = Explained(
            query=Query(name=label, statement=statement), parameter_set=None, status=status, plan=plan, reason=reason
        )
        outcomes.append(outcome(explained))
    return Report(server=str(path), version="", outcomes=tuple(outcomes), selected=len(outcomes))


def _list_rules(format: options.Format, output_file: Path | None) -> None:
    from dbtune.render import rules

    width = 200 if output_file is not None else output.width()
    output.write(rules.listing(format.value, width), output_file)


def _render(
    report: Report, tree: str | None, format: options.Format, output_file: Path | None, *, trees: bool, compared: bool
) -> str:
    if format is options.Format.JSON:
        from dbtune.render import document

        return document.to_json(document.explain(report))
    markdown = format is options.Format.MARKDOWN
    width = 200 if output_file is not None else output.width()
    if compared and tree is None:
        from dbtune.render import comparison

        return comparison.changes(report, width, markdown=markdown)
    if tree is not None or (trees and len(report.outcomes) == 1):
        from dbtune.render.tree import tree as render_tree

        colour = output_file is None and not markdown and output.has_colour()
        drawn = "\n".join(render_tree(outcome, width, colour=colour) for outcome in report.outcomes)
        return f"```\n{drawn}```\n" if markdown else drawn
    from dbtune.render import explain as tables

    return tables.explain(report, width, markdown=markdown)


def _save(report: Report, save: Path | None, html: Path | None) -> None:
    if save is not None:
        from dbtune.render import document

        output.write(document.to_json(document.explain(report)), save)
    if html is not None:
        from dbtune.render.html import page

        output.write(page(report), html)


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
