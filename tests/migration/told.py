"""What an upgrade tells, kept."""

from __future__ import annotations

from dbtune.migration.events import Event
from dbtune.migration.progress import Progress
from dbtune.render import migration_apply as render


class Told:
    """All events, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def lines(self) -> list[str]:
        """The lines that people see: progress only where it is new."""
        told = [each for each in self.events if not isinstance(each, Progress) or each.is_new]
        return [line for line in map(render.line, told) if line is not None]

    @property
    def progress(self) -> list[Progress]:
        """The looks."""
        return [each for each in self.events if isinstance(each, Progress)]

    def says(self, text: str) -> bool:
        """Whether a line has the text."""
        return any(text in line for line in self.lines)
