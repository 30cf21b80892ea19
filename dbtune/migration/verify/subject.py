"""What a revision changes, known from a run of it that nothing disturbed: the difference of two inventories."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.errors import UsageError
from dbtune.migration.verify.inventory import Inventory, Thing

ASIDE = "dbtune_drop_"
"""How the names of indexes begin that revisions of dbtune's have set aside to drop them."""

_NOT_READY = "fft"
_NONE = "no index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A revision by what it does. ``tables`` were there before it and are touched by it, the first one foremost.

    ``made`` and ``gone`` are its indexes. ``others`` are the oids of what it leaves as it is.
    """

    revision: str
    before: Inventory
    after: Inventory
    tables: tuple[Thing, ...]
    made: tuple[Thing, ...]
    gone: tuple[Thing, ...]
    others: frozenset[int]

    @property
    def table(self) -> Thing:
        """The table at which faults are put."""
        return self.tables[0]

    @property
    def index(self) -> Thing | None:
        """The first index that it makes by CREATE INDEX and no constraint's; None if there is none."""
        return next((each for each in self.made if each.kind == "index" and not each.is_needed), None)


def subject(revision: str, before: Inventory, after: Inventory) -> Subject:
    """Return what the revision changed.

    :raises UsageError: it touches no index and no table that was there before.
    """
    old, new = before.by_key(), after.by_key()
    made = [each for key, each in new.items() if key not in old]
    gone = [each for key, each in old.items() if key not in new]
    altered = [each for key, each in new.items() if key in old and each.meaning != old[key].meaning]
    wanted: dict[int, Thing] = {}
    for each in sorted((*made, *gone, *altered), key=_rank):
        table = before.things.get(each.of_table or 0)
        if table is not None and table.kind in ("table", "partitioned table"):
            wanted.setdefault(table.oid, table)
    tables = sorted(wanted.values(), key=lambda table: table.kind != "partitioned table")
    if not tables:
        raise UsageError(f"revision {revision} touches no table that was there before it: there is nothing to verify")
    return Subject(
        revision=revision,
        before=before,
        after=after,
        tables=tuple(tables),
        made=tuple(each for each in sorted(made, key=_rank) if each.is_index and each.of_table in wanted),
        gone=tuple(each for each in sorted(gone, key=_rank) if each.is_index),
        others=frozenset(oid for oid, each in before.things.items() if after.things.get(oid) == each),
    )


def _rank(thing: Thing) -> tuple[bool, bool, int]:
    return not thing.is_index, thing.is_needed, thing.oid


def describe(subject: Subject, now: Inventory, orphan: str = "") -> str:
    """Return in a few words what there is of the revision's work; ``orphan`` is what a server process is still at."""
    there = now.by_key()
    words = [*_made(subject, there), *_gone(subject, there)]
    if not words:
        words = ["done" if now.meanings() == subject.after.meanings() else "not done"]
    if any(each.name.startswith(ASIDE) for each in now.things.values()):
        words.append("one set aside")
    if subject.revision in now.noted:
        words.append("noted")
    words += [orphan] if orphan else []
    return ", ".join(words)


def _made(subject: Subject, there: dict[tuple[str, str, str], Thing]) -> list[str]:
    found = [there.get(each.key) for each in subject.made]
    states = [_state(each, wanted) for each, wanted in zip(found, subject.made, strict=True)]
    if len(states) <= 1:
        return states
    if len(set(states)) == 1:
        return [f"all {len(states)} {states[0]}"] if states[0] != _NONE else [f"none of {len(states)} indexes"]
    return [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]


def _state(found: Thing | None, wanted: Thing) -> str:
    if found is None:
        return _NONE
    if not found.is_index:
        return f"a {found.kind} of the name"
    if found.definition != wanted.definition:
        return "another index of the name"
    if found.is_valid:
        return "valid"
    if found.kind == "partitioned index":
        return "incomplete"
    if found.sound == _NOT_READY:
        return "INVALID"
    return "INVALID, rejects writes" if found.is_unique else "INVALID, costs writes"


def _gone(subject: Subject, there: dict[tuple[str, str, str], Thing]) -> list[str]:
    left = sum(each.key in there for each in subject.gone)
    if not subject.gone:
        return []
    if len(subject.gone) == 1:
        return ["old one there" if left else "old one gone"]
    return [f"{left} of {len(subject.gone)} old ones there"]
