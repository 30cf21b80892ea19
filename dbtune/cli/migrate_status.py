"""``dbtune migrate status``: index builds that run, and what others left."""

from __future__ import annotations

import typer

from dbtune.cli import options, output


def status(
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Show index builds that run and whom they wait for, INVALID indexes, and what revisions made. It changes nothing.

    \b
    Exits with 1 where an INVALID index is that nobody is building.
    Example: dbtune migrate status --url postgresql://localhost/shop
    """
    from dbtune.migration import status as state
    from dbtune.render import document
    from dbtune.render import migration_status as render
    from dbtune.server import connection as server

    output.check_writable(output_file)
    target = server.resolve(url, output.note(quiet))
    with server.connect(target) as connection, server.translated(target):
        found = state.read(connection)
    if format is options.Format.JSON:
        text = document.to_json(render.document(found))
    else:
        text = render.screen(found, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)
    if found.has_invalid:
        raise typer.Exit(1)
