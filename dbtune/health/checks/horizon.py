"""Whoever keeps VACUUM from removing dead rows."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune import sql
from dbtune.health import words
from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limit, Limits, Unit
from dbtune.health.finding import Remedy, Severity, Sign, Sql
from dbtune.health.section import Section
from dbtune.health.values.activity import Holder


def judge(case: Case, limits: Limits) -> Iterator[Sign]:
    for holder in case.now.holders:
        severity = _severity(holder, limits)
        if severity is None:
            continue
        action, remedy = _way_out(holder)
        yield Sign(
            object=f"{holder.kind} {holder.name}",
            severity=severity,
            message=_message(holder),
            action=action,
            remedy=remedy,
            evidence={
                "kind": holder.kind,
                "seconds": round(holder.seconds) if holder.seconds is not None else None,
                "transactions": holder.xids,
                "owner": holder.owner,
                "application": holder.application,
                "state": holder.state,
            },
            weight=float(holder.xids or 0),
        )


def _severity(holder: Holder, limits: Limits) -> Severity | None:
    """Return how bad it is: by its time where that is known, else by how many transactions old it is."""
    if holder.seconds is None:
        age, warning, critical = float(holder.xids or 0), limits["transactions"], 50 * limits["transactions"]
    else:
        age, warning, critical = holder.seconds, limits["warning"], limits["critical"]
    if age < warning:
        return None
    return Severity.CRITICAL if age >= critical else Severity.WARNING


def _message(holder: Holder) -> str:
    who = ", ".join(text for text in (holder.owner, holder.application, holder.state) if text)
    since = f" for {words.age(holder.seconds)}" if holder.seconds is not None else ""
    what = {
        "session": "its transaction has been open",
        "prepared": "it has been prepared and not ended",
        "slot": "it is kept for whoever used it last",
        "standby": "its queries need old rows (hot_standby_feedback)",
    }[holder.kind]
    xids = f"; {words.plural(holder.xids, 'transaction')} began since" if holder.xids is not None else ""
    return f"{what}{since}{f' ({who})' if who else ''}{xids}: no row that died since can be removed"


def _way_out(holder: Holder) -> tuple[str, Remedy | None]:
    match holder.kind:
        case "session":
            statement = f"SELECT pg_terminate_backend({holder.name});"
            return "end the transaction; idle_in_transaction_session_timeout prevents the next", Sql(
                statement=statement
            )
        case "prepared":
            statement = f"ROLLBACK PREPARED {sql.quote_literal(holder.name)};"
            return "ask its coordinator, then COMMIT PREPARED or ROLLBACK PREPARED", Sql(statement=statement)
        case "slot":
            statement = f"SELECT pg_drop_replication_slot({sql.quote_literal(holder.name)});"
            return "let its user catch up; drop it if nobody does any more", Sql(statement=statement)
        case _:
            return "see what runs on the standby for so long", None


CHECKS = (
    Check(
        id="held-horizon",
        title="Somebody keeps dead rows from being removed",
        group=Group.VACUUM,
        reads=(
            "pg_stat_activity: xact_start, backend_xmin, backend_xid",
            "pg_prepared_xacts, pg_replication_slots.xmin, catalog_xmin",
        ),
        trigger="a transaction, a prepared one or a slot has held its snapshot for `warning`; a slot before 17 and a "
        "standby, whose time nobody notes, for `transactions`",
        severity="critical from `critical` on (50 times `transactions`), else warning",
        why="VACUUM removes no row that somebody could still see: tables and indexes grow, and every scan gets slower.",
        next_step="End it, or ask whoever owns it.",
        resolved="it has ended, or moved on",
        needs=frozenset({Section.HOLDERS}),
        judge=judge,
        limits=(
            Limit("warning", 3600, Unit.SECONDS, "are worth a warning"),
            Limit("critical", 86_400, Unit.SECONDS, "are critical"),
            Limit("transactions", 1_000_000, Unit.COUNT, "are worth a warning where no time is known"),
        ),
        primary_only=True,
    ),
)
