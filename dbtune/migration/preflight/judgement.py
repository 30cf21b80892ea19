"""What speaks against an upgrade, from what was read; nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbtune.migration.preflight import words
from dbtune.migration.preflight.blocker import Blocker, Kind
from dbtune.migration.preflight.cost import Cost
from dbtune.migration.preflight.disk import Place
from dbtune.migration.preflight.finding import Finding, Level
from dbtune.migration.preflight.server import BROKEN, Pooler, Server
from dbtune.migration.preflight.slot import Slot
from dbtune.migration.preflight.subject import Subject
from dbtune.migration.preflight.work import Does, Task
from dbtune.migration.replica import Limit, Replica
from dbtune.migration.status import Broken

_SOON = 0.95
"""The part of the way to an autovacuum that does not give way from which on it is worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A pending revision: what it does, what each piece of that meets, and what it costs, None where nobody can say."""

    task: Task
    subjects: tuple[Subject, ...]
    costs: tuple[Cost | None, ...]


def of_server(server: Server) -> Iterator[Finding]:
    """Yield why this server is not one to upgrade at all; ``dbtune migrate apply`` refuses it too."""
    if server.is_standby:
        yield _refused("standby", "this is a standby, which takes no changes", "name the primary")
    if server.pooler is Pooler.TRANSACTION:
        yield _refused(
            "pooler",
            "this is a pooler in transaction mode, where settings and locks leak",
            "connect to the server itself, or to a pooler in session mode",
        )
    if server.version_num in BROKEN:
        yield _refused(
            "version", f"PostgreSQL {server.version} may build corrupt indexes CONCURRENTLY", "update it to 14.4"
        )


def of_task(task: Task) -> Iterator[Finding]:
    """Yield what of a revision cannot be told."""
    if task.why is not None:
        yield Finding(
            level=Level.WARN,
            rule="opaque",
            message=f"what {task.revision} does in full, only a run can tell: {task.why}",
            revision=task.revision,
        )


def of_blockers(blockers: Sequence[Blocker], min_seconds: float) -> Iterator[Finding]:
    """Yield who is in the way; a transaction that is open for less than ``min_seconds`` is worth a word only."""
    for each in blockers:
        young = each.open_seconds is not None and each.open_seconds < min_seconds and each.kind is Kind.SESSION
        gives_way = each.kind is Kind.AUTOVACUUM
        is_met = not (young or gives_way)
        yield Finding(
            level=Level.WARN if is_met else Level.INFO,
            rule=f"blocked-by-{each.kind.value.replace(' ', '-')}",
            message=words.blocker(each) + (", which gives way" if gives_way else ""),
            advice=_end(each) if is_met else None,
            waits_for=words.who(each) if is_met else None,
        )


def _end(blocker: Blocker) -> str | None:
    match blocker.kind:
        case Kind.SESSION:
            return f"let it end, or end it: SELECT pg_terminate_backend({blocker.pid});"
        case Kind.PREPARED:
            if blocker.gid is None:
                return "see pg_prepared_xacts"
            gid = blocker.gid.replace("'", "''")
            return f"COMMIT PREPARED '{gid}'; or ROLLBACK PREPARED '{gid}';"
        case Kind.WRAPAROUND:
            return "let it end: it must not be cancelled for long"
    return None


def of_tables(steps: Sequence[Step], blockers: Sequence[Blocker]) -> Iterator[Finding]:
    """Yield tables on which an autovacuum is due that does not give way, and has not begun."""
    running = {lock.table for each in blockers if each.kind is Kind.WRAPAROUND for lock in each.locks}
    tables = {t.full_name: t for step in steps for s in step.subjects for t in (*s.builds_on, s.table) if t is not None}
    for name, table in tables.items():
        if table.freeze_share is not None and table.freeze_share >= _SOON and name not in running:
            due = "is due" if table.freeze_share >= 1 else "will be due soon"
            yield Finding(
                level=Level.WARN if table.freeze_share >= 1 else Level.INFO,
                rule="freeze",
                message=f"on {name} an autovacuum {due} that does not give way to a build",
                advice=f"VACUUM (FREEZE) {name}; first",
            )


def of_costs(steps: Sequence[Step], server: Server) -> Iterator[Finding]:
    """Yield builds that would end for want of temporary files."""
    for step in steps:
        for cost in step.costs:
            limit = server.temp_file_limit
            if cost is not None and limit is not None and cost.temporary > limit:
                yield Finding(
                    level=Level.WARN,
                    rule="temp-file-limit",
                    message=f"the build may need {words.size(cost.temporary)} of temporary files, of which "
                    f"temp_file_limit allows {words.size(limit)}",
                    advice="raise temp_file_limit or maintenance_work_mem for this role",
                    revision=step.task.revision,
                )


def of_places(places: Sequence[Place]) -> Iterator[Finding]:
    """Yield disks that have not the room for all that is put on them."""
    by_device: dict[int, list[Place]] = {}
    for each in places:
        if each.device is not None:
            by_device.setdefault(each.device, []).append(each)
    for held in by_device.values():
        needs, free = sum(each.needs for each in held), held[0].free
        if free is not None and free < needs:
            what = ", ".join(dict.fromkeys(each.holds.value for each in held))
            yield Finding(
                level=Level.WARN,
                rule="no-room",
                message=f"{held[0].path} has {words.size(free)} free for {words.size(needs)} of {what}",
                advice="make room, or build in another tablespace",
            )


def of_leftovers(broken: Sequence[Broken], steps: Sequence[Step]) -> Iterator[Finding]:
    """Yield INVALID indexes that the upgrade would not mend; on the tables that it works on they matter more."""
    subjects = [each for step in steps for each in step.subjects]
    mended = {each.index for step in steps if step.task.ours for each in step.subjects}
    tables = {each.table.full_name for each in subjects if each.table is not None}
    members = {each.full_name for s in subjects for each in s.missing}
    for each in broken:
        if each.sound or each.index in mended:
            continue
        costs = f": {', '.join(each.costs)}" if each.costs else ""
        yield Finding(
            level=Level.WARN if each.table in tables and each.table not in members else Level.INFO,
            rule="leftover",
            message=f"{each.index} on {each.table} is INVALID{costs}",
            advice=each.mend,
        )


def of_replicas(
    replicas: Sequence[Replica], slots: Sequence[Slot], steps: Sequence[Step], limit: Limit | None
) -> Iterator[Finding]:
    """Yield standbys that are too far behind, and slots that the build's WAL would endanger."""
    for replica in replicas:
        passed = limit.is_passed(replica) if limit is not None else False
        if passed is None:
            yield _warned("lag", f"how far {replica.name} is behind is not shown to this role, or not known yet")
        elif passed:
            yield _warned("lag", f"{words.replica(replica)}: over --max-replica-lag", "let it catch up first")
    wal = sum(cost.wal for step in steps for cost in step.costs if cost is not None)
    for slot in slots:
        if slot.wal_status in ("lost", "unreserved"):
            yield _warned("slot", f"slot {slot.name} is {slot.wal_status}", "see who should read it")
        elif slot.safe_bytes is not None and slot.safe_bytes < wal:
            yield _warned(
                "slot",
                f"slot {slot.name} is lost after {words.size(max(0, slot.safe_bytes))} more WAL, and the builds write "
                f"about {words.size(wal)}",
                "raise max_slot_wal_keep_size",
            )
        elif not slot.active and slot.kept_bytes is not None:
            yield Finding(
                level=Level.INFO,
                rule="slot",
                message=f"slot {slot.name} has no reader, and keeps {words.size(max(0, slot.kept_bytes))} of WAL",
                advice="drop it if nobody will come back for it",
            )
    drops = any(s.work.does is Does.DROP and s.existing is not None for step in steps for s in step.subjects)
    if drops and replicas:
        yield Finding(
            level=Level.INFO,
            rule="drop-on-standby",
            message="on standbys, replaying the drop waits for queries that read the table",
        )


def _refused(rule: str, message: str, advice: str) -> Finding:
    return Finding(level=Level.REFUSE, rule=rule, message=message, advice=advice)


def _warned(rule: str, message: str, advice: str | None = None) -> Finding:
    return Finding(level=Level.WARN, rule=rule, message=message, advice=advice)
