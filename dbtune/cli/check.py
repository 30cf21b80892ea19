"""``dbtune check``: explain as a gate, against a saved baseline."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import options, output
from dbtune.errors import UsageError

if TYPE_CHECKING:
    from dbtune.plan.gate import Verdict


class Format(StrEnum):
    """How the verdict is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"
    GITHUB = "github"


def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Queries to check; all of the folder by default.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A report saved by dbtune explain --save.", show_default=False)
    ] = None,
    pages: Annotated[int, typer.Option(min=0, help="Tables of at most this many 8 kB pages may be scanned anew.")] = 64,
    factor: Annotated[float, typer.Option(min=1, help="Blocks for each row returned may grow by this factor.")] = 1.5,
    ignores: Annotated[
        Path | None,
        typer.Option("--ignores", metavar="FILE", help="Accepted violations; else ignore.yaml among the queries."),
    ] = None,
    query_dir: options.QueryDir = Path("queries"),
    url: options.Url = None,
    format: Annotated[Format, typer.Option("--format", help="How to print the verdict.")] = Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Fail if a query is worse than in the baseline: an index path lost, a table scanned anew, more blocks a row.

    Costs and times decide nothing, so the same code on the same data always gets the same verdict.

    \b
    Example: dbtune explain --save baseline.json
             dbtune check --baseline baseline.json --format junit --output check.xml
    """
    from datetime import date

    from dbtune.cli import workload
    from dbtune.plan import baseline as baselines
    from dbtune.plan import gate
    from dbtune.plan import ignores as ignore_files
    from dbtune.plan.survey import Wanted

    if baseline is None:
        raise UsageError("say what to compare with: --baseline FILE (dbtune explain --save FILE makes one)")
    output.check_writable(output_file)
    before = baselines.load(baseline)
    ignore_file = ignores or query_dir / ignore_files.NAME
    accepted = ignore_files.load(ignore_file) if ignores is not None or ignore_file.exists() else ()
    chosen = workload.choose(query_dir, names or ())
    wanted = Wanted(compare=True, alternatives=False, prove=False)
    report = workload.run(url, chosen.queries, wanted, before, quiet)
    for problem in chosen.problems:
        typer.echo(f"dbtune: {problem}", err=True)
    verdict = gate.judge(
        before,
        report.outcomes,
        {o.query.name: o.index_paths or {} for o in report.outcomes},
        gate.Limits(pages=pages, factor=factor),
        accepted,
        today=date.today(),
        selected=names or None,
        version=report.version,
    )
    output.write(_render(verdict, format, output_file), output_file)
    if report.interrupted:
        raise typer.Exit(130)
    if verdict.failures:
        raise typer.Exit(1)
    if chosen.problems:
        raise typer.Exit(2)


def _render(verdict: Verdict, format: Format, output_file: Path | None) -> str:
    from dbtune.render import gate as rendered

    match format:
        case Format.JSON:
            return rendered.to_json(verdict)
        case Format.MARKDOWN:
            return rendered.markdown(verdict)
        case Format.JUNIT:
            return rendered.junit(verdict)
        case Format.SARIF:
            return rendered.sarif(verdict)
        case Format.GITHUB:
            return rendered.github(verdict)
        case Format.TABLE:
            return rendered.table(verdict, 200 if output_file is not None else output.width())
