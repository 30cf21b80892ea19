"""What differs between two plans of one statement: paths, joins, sorts and work. Time is told, but judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dbtune.plan import words
from dbtune.plan.access import AccessPath, access_paths, joins, shape, sorts
from dbtune.plan.arithmetic import Analysis


class Direction(StrEnum):
    """Whether a change is for the better, for the worse, or just a change."""

    BETTER = "better"
    WORSE = "worse"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference; ``kind`` is a stable id such as ``scan``."""

    kind: str
    direction: Direction
    text: str
    relation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one execution did. ``blocks`` and ``rows`` are None where it was only planned."""

    execution_ms: float | None
    blocks: int | None
    rows: float | None
    rows_read: float | None
    total_cost: float

    @property
    def blocks_per_row(self) -> float | None:
        """Blocks for each row returned; a statement without rows counts as one of one row."""
        return None if self.blocks is None or self.rows is None else self.blocks / max(1.0, self.rows)

    @property
    def read_per_row(self) -> float | None:
        """Rows looked at for each row returned."""
        return None if self.rows_read is None or self.rows is None else self.rows_read / max(1.0, self.rows)


_SCAN_READS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan", "Tid Range Scan")


def work(analysis: Analysis) -> Work:
    """Return what the plan's execution did."""
    plan = analysis.plan
    reads = [analysis.of(n).read for n in plan.nodes if n.node_type in _SCAN_READS]
    root = analysis.measures[0].rows
    known = plan.is_analyzed
    return Work(
        execution_ms=analysis.execution_ms if known else None,
        blocks=analysis.blocks.accessed if known and analysis.blocks is not None else None,
        rows=root.value if root is not None else None,
        rows_read=sum(r.value for r in reads if r is not None) if known else None,
        total_cost=plan.root.total_cost,
    )


def compare(before: Analysis, after: Analysis) -> list[Change]:
    """Return what changed from one plan to the other; empty where both do the same work in the same way."""
    changes = _scans(access_paths(before.plan), access_paths(after.plan))
    old, new = joins(before.plan), joins(after.plan)
    if sorted(old) != sorted(new):
        changes.append(_change("join", Direction.OTHER, f"joins: {_list(old)} → {_list(new)}"))
    added = [key for key in sorts(after.plan) if key not in sorts(before.plan)]
    gone = [key for key in sorts(before.plan) if key not in sorts(after.plan)]
    changes += [_change("sort", Direction.WORSE, f"sorts by {key}, before it did not") for key in added]
    changes += [_change("sort", Direction.BETTER, f"no longer sorts by {key}") for key in gone]
    changes += _work(work(before), work(after))
    if not changes and shape(before.plan) != shape(after.plan):
        changes.append(_change("shape", Direction.OTHER, "the plan has another shape"))
    return changes


def _change(kind: str, direction: Direction, text: str, relation: str | None = None) -> Change:
    return Change(kind=kind, direction=direction, text=text, relation=relation)


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _scans(before: list[AccessPath], after: list[AccessPath]) -> list[Change]:
    """Compare scans of the same table by their place among its scans: aliases may be generated."""
    changes = []
    for relation in dict.fromkeys(p.relation for p in (*before, *after)):
        old = [p for p in before if p.relation == relation]
        new = [p for p in after if p.relation == relation]
        if len(old) != len(new):
            direction = Direction.WORSE if len(new) > len(old) else Direction.BETTER
            text = f"{relation} is scanned {len(new)} times, before {len(old)}"
            changes.append(_change("scans", direction, text, relation))
            continue
        changes += [_path(o, n) for o, n in zip(old, new, strict=True) if (o.scan, o.indexes) != (n.scan, n.indexes)]
    return changes


def _path(old: AccessPath, new: AccessPath) -> Change:
    if old.looks_up and not new.looks_up:
        direction, kind = Direction.WORSE, "index-lost"
    elif new.looks_up and not old.looks_up:
        direction, kind = Direction.BETTER, "index-gained"
    else:
        direction, kind = Direction.OTHER, "scan" if old.scan != new.scan else "index"
    return _change(kind, direction, f"{new.relation}: {old.text} → {new.text}", new.relation)


def _work(old: Work, new: Work) -> list[Change]:
    changes = []
    pairs = (
        ("buffers", "blocks", old.blocks, new.blocks, 16.0),
        ("rows-read", "rows read per row returned", old.read_per_row, new.read_per_row, 10.0),
    )
    for kind, name, a, b, least in pairs:
        if a is None or b is None or abs(a - b) < least or max(a, b) < 1.1 * min(a, b):
            continue
        direction = Direction.WORSE if b > a else Direction.BETTER
        changes.append(_change(kind, direction, f"{name}: {words.number(round(a))} → {words.number(round(b))}"))
    return changes
