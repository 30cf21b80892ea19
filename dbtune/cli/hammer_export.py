"""``dbtune hammer --export``: the load as a plan of another tool's."""

from __future__ import annotations

from pathlib import Path

import typer

from dbtune.cli import output
from dbtune.cli.hammering import Run
from dbtune.errors import UsageError
from dbtune.load.exporting import Tool, jmeter, k6, locust
from dbtune.load.exporting.plan import plan


def export(run: Run, tool: Tool, path: Path | None, quiet: bool) -> None:
    """Write what would be sent to ``path``, or to stdout; JMeter's data go to a CSV file beside it.

    :raises UsageError: a file cannot be written, or JMeter's has no name.
    """
    made = plan(run.target, run.words, run.routes, run.mine(), run.options)
    if tool is not Tool.JMETER:
        output.write((locust if tool is Tool.LOCUST else k6).export(made).text, path)
        return
    if path is None or path.suffix == ".csv":
        raise UsageError("--export jmeter writes a plan and a CSV file beside it: give --output plan.jmx")
    beside = path.with_suffix(".csv")
    output.check_writable(beside)
    exported = jmeter.export(made, beside.name)
    output.write(exported.data or "", beside)
    output.write(exported.text, path)
    if not quiet:
        typer.echo(f"dbtune: {beside} has the requests; keep it beside {path}", err=True)
