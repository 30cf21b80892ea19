"""What came of a run of the hammer, counted row by row, and telling it; also of files that an earlier run left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from dbtune.cli import options, output
from dbtune.errors import UsageError
from dbtune.load import jtl, record
from dbtune.load.record import Head, Row
from dbtune.load.summary import Summary
from dbtune.load.timeline import Timeline

_KEPT = 200_000
"""Of more rows than this the page shows only a part."""


@dataclass(slots=True)
class Done:
    """What came of it; ``rows`` are the first of them."""

    head: Head
    summary: Summary
    timeline: Timeline
    rows: list[Row]
    interrupted: bool = False
    count: int = 0
    good: int = 0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.count += 1
        self.good += row.outcome.is_success
        self.summary.add(row)
        self.timeline.add(row)
        if len(self.rows) < _KEPT:
            self.rows.append(row)


def begin(head: Head, seconds: float) -> Done:
    """Return nothing so far of a run whose last request is due after so many ``seconds``."""
    return Done(head, Summary(planned=head.requests), Timeline(seconds), [])


def merged(paths: Sequence[Path], quiet: bool) -> Done:
    """Return the raw files of several machines, or of one, as one run; what is missing is said on stderr.

    :raises BadFile: a file is not one, or is of another run.
    """
    heads = record.heads(paths)
    head = record.joined(heads)
    if (missing := record.missing(heads)) and not quiet:
        typer.echo(f"dbtune: no file has the shard {', '.join(missing)}: these are the others alone", err=True)
    return _read(head, record.merged(paths), "reading", quiet)


def jmeter(paths: Sequence[Path], quiet: bool) -> Done:
    """Return what JMeter wrote into a JTL file.

    :raises UsageError: there are several files, or it cannot be used.
    """
    if len(paths) != 1:
        raise UsageError("--jtl reads one file")
    head = jtl.head(paths[0])
    return _read(head, jtl.rows(paths[0], head.began), "reading", quiet)


def _read(head: Head, rows: Iterator[Row], description: str, quiet: bool) -> Done:
    done = begin(head, head.seconds)
    with output.progress(description, head.requests, quiet) as step:
        for row in rows:
            done.add(row)
            step("")
    return done


def tell(done: Done, format: options.Format, output_file: Path | None, html: Path | None) -> None:
    """Write what came of it."""
    from dbtune.render import document
    from dbtune.render import load as render

    if html is not None:
        from dbtune.render.html import load as web

        output.write(web.page(done.head, done.summary, done.rows, done.timeline), html)
    if format is options.Format.JSON:
        text = document.to_json(render.document(done.head, done.summary))
    else:
        width = 200 if output_file is not None else output.width()
        markdown = format is options.Format.MARKDOWN
        text = render.screen(done.head, done.summary, done.timeline, width, markdown=markdown)
    output.write(text, output_file)


def finish(done: Done, fail_under: float | None) -> None:
    """Exit as the run ended: 130 if Ctrl-C ended it, 1 without a verdict or below a share of success."""
    if done.interrupted:
        raise typer.Exit(130)
    found = done.summary
    if found.no_verdict is not None or (fail_under is not None and not found.all.success >= fail_under):
        raise typer.Exit(1)
