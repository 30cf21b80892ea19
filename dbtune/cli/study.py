"""``dbtune study``: the report of 2019, run again, predicted before it is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbtune.cli import options, output
from dbtune.errors import UsageError

if TYPE_CHECKING:
    from dbtune.study.arm import Study


def study(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Arms as TOML, instead of those that come with dbtune.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every phenomenon, in about four minutes (default).")] = False,
    full: Annotated[bool, typer.Option("--full", help="All 45 sets at once, 17 minutes an arm.")] = False,
    isolated: Annotated[bool, typer.Option("--isolated", help="The 45 sets one by one, two hours an arm.")] = False,
    arm: Annotated[
        list[str] | None, typer.Option("--arm", metavar="NAME", help="Only this arm; may be given more than once.")
    ] = None,
    repeat: Annotated[int | None, typer.Option("--repeat", min=1, max=100, help="Run each arm so often.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with graphs.", show_default=False)
    ] = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Run the party service in many settings on a server of its own, and tell what each does and why.

    Everything is started for it and stopped after it, also on Ctrl-C, which tells what there is so far.

    \b
    Example: dbtune study --quick --html study.html
    """
    from importlib.util import find_spec

    if not (find_spec("aiohttp") and find_spec("uvloop") and find_spec("flask")):
        raise UsageError("the study needs a web service and a load generator: pip install 'dbtune[party,load]'")
    from dbtune.party.web import serving
    from dbtune.render import document
    from dbtune.render import study as render
    from dbtune.study.conduct import conduct

    if sum((quick, full, isolated, file is not None)) > 1:
        raise UsageError("give a FILE, --quick, --full or --isolated, one of them")
    for path in (output_file, html):
        output.check_writable(path)
    chosen = _chosen(file, "full" if full else "isolated" if isolated else "quick", arm, repeat)
    for each in chosen.arms:
        serving.check(each.settings, each.server)
    if not quiet:
        minutes = max(1, round(chosen.seconds() / 60))
        typer.echo(f"dbtune: {len(chosen.arms)} arms, about {minutes} min", err=True)
    with output.stages("starting", len(chosen.arms), quiet) as (step, tell):
        results = conduct(chosen, tell, step)
    if html is not None:
        from dbtune.render.html import study as web

        output.write(web.page(results), html)
    if format is options.Format.JSON:
        text = document.to_json(render.document(results))
    else:
        width = 200 if output_file is not None else output.width()
        text = render.screen(results, width, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)
    if results.interrupted:
        raise typer.Exit(130)


def _chosen(file: Path | None, shipped: str, names: list[str] | None, repeat: int | None) -> Study:
    from dataclasses import replace

    from dbtune.study import file as files

    found = files.load(file) if file is not None else files.shipped(shipped)
    if names:
        known = [each.name for each in found.arms]
        for name in names:
            if name not in known:
                raise UsageError(f"--arm {name}: there is none; there are {', '.join(known)}")
        found = replace(found, arms=tuple(each for each in found.arms if each.name in names))
    return found if repeat is None else replace(found, repeat=repeat)
