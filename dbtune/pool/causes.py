"""Why a pool may be the wrong place to look: connections held idle, sessions that block, one slow statement."""

from __future__ import annotations

from dbtune.plan import words
from dbtune.plan.report import Outcome, Report
from dbtune.server.sessions import Snapshot
from dbtune.server.traffic import Traffic

_IDLE_SHARE = 0.5
_BLOCKED_SHARE = 0.2
_STATEMENT_SHARE = 0.3
_SAVED_SHARE = 0.5


def idle(traffic: Traffic) -> str | None:
    """Return that most of the hold time is the application's, None where it is not."""
    if traffic.app_share is None or traffic.app_share < _IDLE_SHARE or traffic.hold is None:
        return None
    return (
        f"for {traffic.app_share:.0%} of the time that a transaction holds its connection"
        f" ({words.milliseconds(traffic.hold * 1000)}) the server waits for the application, idle in transaction:"
        " commit earlier, or do other work outside of the transaction; a larger pool only holds more"
    )


def blocked(snapshot: Snapshot) -> str | None:
    """Return that sessions wait for locks of each other, None where few do."""
    busy = [each for each in snapshot.clients if each.state not in (None, "idle") and not each.is_own]
    waiting = [each for each in busy if each.wait_event_type == "Lock"]
    if len(waiting) < 2 or len(waiting) < _BLOCKED_SHARE * len(busy):
        return None
    heads = sorted({pid for each in waiting if each.pid in snapshot.waits for pid in snapshot.waits[each.pid].blockers}
                   - {each.pid for each in waiting})  # fmt: skip
    behind = f" behind pid {', '.join(map(str, heads[:3]))}" if heads else ""
    return (
        f"{len(waiting)} of {len(busy)} busy sessions wait for a lock{behind}: every connection more waits too"
        " (dbtune connections shows who blocks whom)"
    )


def statement(report: Report) -> str | None:
    """Return the captured query that takes much of all time and need not, None if there is none."""
    measured = [each for each in report.outcomes if each.execution_ms is not None]
    total = sum(_all_calls(each) for each in measured)
    best: tuple[float, str] | None = None
    for each in measured:
        share = _all_calls(each) / total if total else 0.0
        root = max(each.roots, key=each.saves_ms, default=None)
        if root is None or share < _STATEMENT_SHARE or not each.execution_ms:
            continue
        saved = each.saves_ms(root) / each.execution_ms
        if saved >= _SAVED_SHARE and (best is None or share * saved > best[0]):
            told = (
                f"{each.query.name} takes {share:.0%} of the captured queries' time, and {saved:.0%} of that need not"
                f" be: {root.title[0].lower() + root.title[1:]} ({root.rule}). {root.advice}"
            )
            best = share * saved, told
    return None if best is None else best[1]


def _all_calls(outcome: Outcome) -> float:
    return (outcome.execution_ms or 0.0) * outcome.query.weight
