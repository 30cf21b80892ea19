"""What a change sends: statements outside of any transaction, then some in the one that notes it as done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dbtune.migration.members import expanded


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What is sent for each partition; see :mod:`dbtune.migration.members` for the words that stand for its names.

    ``known`` are the partitions there were when this was written, those nearer to the table first: schema, name, the
    schema and name of the table that it is one of, and whether it has partitions of its own. ``tree`` is the query for
    those that there are now and that have no such index yet. ``root`` and ``index`` are the table's and the index's
    schema and name.

    ``leaf`` is for partitions without partitions; the first ``cleanup`` of its statements take away what the later
    ones left. ``branch`` is for those with, and ``attach`` too, after all others, the nearest ones last.
    """

    root: tuple[str, str]
    index: str
    ending: str
    known: tuple[tuple[str, str, str, str, bool], ...]
    tree: str
    leaf: tuple[str, ...]
    branch: tuple[str, ...]
    attach: tuple[str, ...]
    cleanup: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """``prepare``, ``outside`` and ``restore`` are sent outside of transactions, each statement by itself.

    ``restore`` ends the session's special settings, whatever happened. The first ``cleanup`` of the statements
    ``outside`` take away what the later ones left. ``inside`` belongs into the transaction that notes the change.
    ``members`` are what follows ``outside`` for each partition, and ``after`` what follows those. ``shared`` are names
    for lines that several statements have, so that a file need not repeat them.
    """

    prepare: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    cleanup: int = 0
    members: Members | None = None
    after: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    shared: tuple[tuple[str, str], ...] = ()


class Change(Protocol):
    """A change of indexes."""

    @property
    def title(self) -> str:
        """A line that says what it does."""
        ...

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        ...

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends; ``revision`` is told in the comment on what it makes."""
        ...

    def reverse(self) -> Change:
        """Return the change that undoes it."""
        ...

    def sql(self) -> tuple[str, ...]:
        """Return all its statements, in order, as they are sent."""
        ...


def listed(steps: Steps) -> tuple[str, ...]:
    """Return the statements that are sent where nothing goes wrong, with the transaction around the last ones."""
    inside = ("BEGIN", *steps.inside, "COMMIT") if steps.inside else ()
    parts = [statement for part, _ in for_members(steps) for statement in part]
    return (*steps.prepare, *steps.outside, *parts, *steps.after, *steps.restore, *inside)


def for_members(
    steps: Steps, now: Sequence[Sequence[object]] | None = None
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the statements for each partition, and those of them that take away what the others left.

    They are for those in ``now``, the rows of the query, else for the known ones.
    """
    members = steps.members
    if members is None:
        return
    found = members.known if now is None else now
    parts = [(members.branch if each[-1] else members.leaf, each) for each in found]
    parts += [(members.attach, each) for each in reversed(found) if each[-1]]
    for statements, (schema, table, above_schema, above_table, has_partitions) in parts:
        made = expanded(
            statements,
            (str(schema), str(table)),
            (str(above_schema), str(above_table)),
            root=members.root,
            index=members.index,
            ending=members.ending,
        )
        yield tuple(made), () if has_partitions else tuple(made[: members.cleanup])
