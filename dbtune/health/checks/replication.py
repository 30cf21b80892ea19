"""Standbys and replication slots."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune import sql
from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Severity, Sign, Sql
from dbtune.health.section import Section


def lag(case: Case, limits: Limits) -> Iterator[Sign]:
    for standby in case.now.standbys:
        if standby.lag_bytes is None or standby.lag_bytes < limits["warning"]:
            continue
        name = standby.name or standby.address or f"pid {standby.pid}"
        seconds = f", {words.age(standby.replay_seconds)}" if standby.replay_seconds is not None else ""
        yield Sign(
            object=f"standby {name}",
            severity=Severity.CRITICAL if standby.lag_bytes >= limits["critical"] else Severity.WARNING,
            message=f"{words.size(standby.lag_bytes)}{seconds} behind ({standby.state}, {standby.sync_state})",
            action="see whether the network, its disk or a query on it (max_standby_streaming_delay) holds it up",
            evidence={"lag_bytes": standby.lag_bytes, "replay_seconds": standby.replay_seconds, "state": standby.state},
            weight=float(standby.lag_bytes),
        )


def slots(case: Case, limits: Limits) -> Iterator[Sign]:
    for slot in case.now.slots:
        if slot.temporary:
            continue
        drop = Sql(statement=f"SELECT pg_drop_replication_slot({sql.quote_literal(slot.name)});")
        retained = slot.retained_bytes or 0
        idle = f" for {words.age(slot.inactive_seconds)}" if slot.inactive_seconds is not None else ""
        if slot.wal_status == "lost" or slot.invalidation_reason is not None:
            reason = slot.invalidation_reason or "its WAL is gone"
            severity, message = Severity.CRITICAL, f"lost ({reason}): whoever used it must begin anew"
        elif slot.wal_status == "unreserved":
            severity = Severity.CRITICAL
            message = f"about to lose its WAL: {words.size(retained)} are kept, more than max_slot_wal_keep_size"
        elif not slot.active and retained >= limits["bytes"]:
            severity = Severity.CRITICAL if retained >= limits["critical"] else Severity.WARNING
            message = f"nobody uses it{idle}, and {words.size(retained)} of WAL are kept for it"
        elif not slot.active:
            severity = Severity.INFO
            message = f"nobody uses it{idle}; {words.size(retained)} of WAL are kept for it, and more with each write"
        else:
            continue
        yield Sign(
            object=f"slot {slot.name}",
            severity=severity,
            message=message,
            action="drop it if its user does not come back; max_slot_wal_keep_size bounds what it keeps",
            remedy=None if slot.active else drop,
            evidence={
                "kind": slot.kind,
                "active": slot.active,
                "wal_status": slot.wal_status,
                "retained_bytes": slot.retained_bytes,
                "inactive_seconds": slot.inactive_seconds,
            },
            weight=float(retained),
        )


CHECKS = (
    Check(
        id="replication-lag",
        title="Standby that falls behind",
        group=Group.SERVER,
        reads=("pg_stat_replication: replay_lsn, replay_lag, state",),
        trigger="`warning` or more of WAL are not replayed there",
        severity="critical from `critical` on, else warning",
        why="Its queries see the past, and what it has not is lost if the primary is.",
        next_step="See what holds it up.",
        resolved="it has caught up",
        needs=frozenset({Section.STANDBYS}),
        judge=lag,
        limits=(
            Limit("warning", 100 * 1024**2, Unit.BYTES, "behind are worth a warning"),
            Limit("critical", 1024**3, Unit.BYTES, "behind are critical"),
        ),
    ),
    Check(
        id="replication-slot",
        title="Replication slot that nobody uses, or that is lost",
        group=Group.SERVER,
        reads=(
            "pg_replication_slots: active, wal_status, restart_lsn, inactive_since (17+), invalidation_reason (17+)",
        ),
        trigger="a slot is not active, or its WAL is lost or about to be",
        severity="critical if WAL is lost or about to be, or `critical` are kept; warning from `bytes` on; else info",
        why="The server keeps all WAL for it, until the disk is full.",
        next_step="Drop it, or let its user come back.",
        resolved="it is in use or gone",
        needs=frozenset({Section.SLOTS}),
        judge=slots,
        limits=(
            Limit("bytes", 100 * 1024**2, Unit.BYTES, "kept for nobody are worth a warning"),
            Limit("critical", 10 * 1024**3, Unit.BYTES, "kept for nobody are critical"),
        ),
    ),
)
