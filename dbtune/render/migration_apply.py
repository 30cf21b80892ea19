"""What ``dbtune migrate apply`` tells: a line for people, an object for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dbtune.migration.apply import Applied
from dbtune.migration.duration import spoken
from dbtune.migration.events import Again, Begin, Done, Event, Made, Notice, Pending, Revision
from dbtune.migration.progress import Progress
from dbtune.render.document import SCHEMA_VERSION


def line(event: Event) -> str | None:
    """Return it for a log, None where it is not worth a line."""
    match event:
        case Progress():
            return event.line
        case Revision():
            return f"{event.revision}: {event.title}"
        case Notice():
            return f"{event.revision}: {event.text}" if event.revision else event.text
        case Again():
            return f"{event.why}; attempt {event.attempt} in {spoken(event.pause_s)}"
        case _:
            return None


def document(event: Event, at: datetime | None = None) -> str:
    """Return it as an object on one line; ``at`` is now by default."""
    fields: dict[str, Any] = _rounded(asdict(event))
    fields.pop("is_new", None)
    head = {
        "schema_version": SCHEMA_VERSION,
        "event": type(event).__name__.lower(),
        "at": (at or datetime.now(UTC)).isoformat(timespec="milliseconds"),
    }
    return json.dumps(head | fields, ensure_ascii=False)


def _rounded(value: Any) -> Any:
    """Return it with no more digits than were measured."""
    match value:
        case float():
            return round(value, 3)
        case dict():
            return {name: _rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
        case _:
            return value


def begin(event: Begin, revision: str) -> str:
    """Return what an upgrade would run."""
    lines = [_titled(each) for each in event.pending] or ["nothing to do"]
    return "\n".join([f"{event.server} is at {_at(event.heads)}; an upgrade to {revision} would run:", *lines])


def applied(done: Applied) -> str:
    """Return what was done: each revision with its time, and the indexes that it made."""
    if not done.revisions:
        return f"nothing to do: the database is at {_at(done.heads)}"
    lines = []
    for each in done.revisions:
        lines.append(f"{_titled(each)}: {_seconds(each.seconds)}")
        lines += [f"  {told}" for told in _indexes(each, done.indexes)]
    return "\n".join([*lines, f"done in {_seconds(done.seconds)}; the database is at {_at(done.heads)}"])


def invalid(index: Made) -> str:
    """Return what is wrong with an index that is not valid, and what to do."""
    return (
        f"{index.index} is INVALID although {index.revision} is noted, so IF NOT EXISTS passed over it;"
        f" mend it: REINDEX INDEX CONCURRENTLY {index.index};"
    )


def _indexes(revision: Done, indexes: tuple[Made, ...]) -> list[str]:
    own = [each for each in indexes if each.revision == revision.revision]
    expected = ""
    if revision.expected_bytes is not None and len(own) == 1:
        expected = f", expected were about {_size(revision.expected_bytes)}"
    return [
        f"{each.index} on {each.table}: {'valid' if each.is_valid else 'INVALID'}, {_size(each.bytes)}{expected}"
        for each in own
    ]


def _titled(pending: Pending) -> str:
    return f"{pending.revision}  {pending.title}"


def _at(heads: tuple[str, ...]) -> str:
    return ", ".join(heads) or "base"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else spoken(seconds)


def _size(size: int) -> str:
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1024:.0f} kB"
