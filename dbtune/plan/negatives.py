"""What was looked at and is fine, and what could not be looked at, with how to enable it: silence would not tell."""

from __future__ import annotations

from dbtune.plan import words
from dbtune.plan.subject import Subject


def checked(subject: Subject) -> list[str]:
    """Return what is fine about a plan, with the numbers that say so."""
    fine: list[str] = []
    plan = subject.plan
    sorts = [n for n in subject.running("Sort", "Incremental Sort") if n.raw.get("Sort Space Type") == "Memory"]
    if sorts:
        fine.append(_in_memory("sort", "sorts", [n.number_of("Sort Space Used") for n in sorts]))
    hashes = [n for n in subject.running("Hash") if n.number_of("Hash Batches") == 1]
    if hashes:
        fine.append(_in_memory("hash table", "hash tables", [n.number_of("Peak Memory Usage") for n in hashes]))
    if plan.is_analyzed:
        off = [n for n in plan.nodes if not n.never_executed and _factor(subject, n.number) >= 10]
        if not off:
            fine.append("row estimates within a factor of ten")
        if not plan.sequential_scans():
            fine.append("no sequential scan")
        if plan.root.buffers is not None and plan.root.buffers.temp == 0:
            fine.append("no temporary files")
    heaps = [n for n in subject.running("Index Only Scan") if n.number_of("Heap Fetches") == 0]
    if heaps and plan.is_analyzed:
        fine.append("index-only scans without visits to the heap")
    return fine


def _in_memory(one: str, many: str, used_kb: list[float]) -> str:
    size = words.size(max(used_kb) / 8)
    return f"{one} in memory, {size}" if len(used_kb) == 1 else f"{len(used_kb)} {many} in memory, {size} at most"


def unchecked(subject: Subject) -> list[str]:
    """Return what could not be judged, and what would make it so."""
    missing: list[str] = []
    plan = subject.plan
    if not plan.is_analyzed:
        return ["times, rows and spills: the statement was not run (EXPLAIN ANALYZE)"]
    if not plan.is_timed:
        missing.append("times of nodes: TIMING was off")
    if plan.root.buffers is None:
        missing.append("blocks: BUFFERS was off")
    elif plan.root.buffers.shared_read and subject.facts.settings.get("track_io_timing") == "off":
        missing.append("time of reads: track_io_timing is off (SET track_io_timing = on)")
    unknown = sorted({n.relation for n in plan.nodes if n.relation is not None and not subject.facts.table(n.relation)})
    if unknown:
        missing.append(f"age of statistics and indexes of {', '.join(unknown)}: no facts from the catalogs")
    return missing


def _factor(subject: Subject, number: int) -> float:
    """Return how many times too many or too few rows the planner expected; 1 where rounding hides it."""
    measure = subject.analysis.measures[number]
    if measure.rows is None or not measure.rows.is_exact:
        return 1.0
    low, high = sorted((max(1.0, measure.estimated_rows), max(1.0, measure.rows.value)))
    return high / low if high >= 1000 else 1.0
