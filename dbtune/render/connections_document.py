"""The report of ``dbtune connections`` as a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from dbtune.pool.occupancy import blocking, holders
from dbtune.pool.occupancy.judging import Report
from dbtune.render import log
from dbtune.render.document import SCHEMA_VERSION
from dbtune.server.counters import COUNTERS, Counters
from dbtune.server.limits import CONNECTIONS, Limits
from dbtune.server.sessions import Sample, Session
from dbtune.server.situation import Situation, Watched
from dbtune.server.traffic import Traffic


def document(report: Report) -> dict[str, Any]:
    """Return all of it; times in seconds or as told by their name, rates per second, shares from 0 to 1."""
    situation = report.situation
    samples: Sequence[Sample] = situation.observation.samples if situation.observation is not None else ()
    others = [each for each in situation.snapshot.clients if not each.is_own]
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "connections",
        "server": {
            "at": situation.server,
            "version": situation.version,
            "database": situation.database,
            "role": situation.role,
            "in_recovery": situation.in_recovery,
            "started": situation.started.isoformat(),
        },
        "time": situation.at.isoformat(),
        "connections": {
            "used": situation.used,
            "peak": situation.peak,
            "usable": situation.limits.usable,
            "hidden": situation.snapshot.hidden,
            "by_state": holders.by_state(others),
            "by_client": holders.by_client(others),
        },
        "limits": _limits(situation.limits),
        "holders": [asdict(each) for each in holders.holders(others, samples)],
        "waits": [asdict(each) for each in holders.waits(situation.snapshot.clients, samples)],
        "samples": len(samples),
        "traffic": _traffics(situation),
        "counted": {
            "since": None if situation.counted_since is None else situation.counted_since.isoformat(),
            **_counters(situation.reading.counters[situation.database]),
        },
        "transactions": [
            _session(each) for each in sorted(others, key=lambda each: -(each.xact_s or 0)) if each.xact_s is not None
        ],
        "blocking": [_node(tree) for tree in blocking.trees(situation.snapshot)],
        "pgbouncer": _pooler(situation.bouncer),
        "logs": None if report.told is None else _logs(report),
        "spills": None if situation.spills is None else [asdict(each) for each in situation.spills],
        "findings": [
            asdict(each) | {"severity": each.severity.word, "evidence": dict(each.evidence)} for each in report.findings
        ],
        "unseen": [asdict(each) for each in report.unseen],
    }


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        **{name: {"value": getattr(limits, name), "source": limits.sources.get(name)} for name in CONNECTIONS},
        "reserved": limits.reserved,
        "usable": limits.usable,
        "pending_restart": list(limits.pending),
        "roles": {each.name: each.most for each in limits.roles},
        "databases": {each.name: each.most for each in limits.databases},
        "timeouts_ms": {
            name: {"value": value, "source": limits.sources.get(name)} for name, value in limits.timeouts.items()
        },
    }


def _traffics(situation: Situation) -> list[dict[str, Any]]:
    observation = situation.observation
    if observation is None:
        return []
    return [_traffic(observation.traffic(name)) for name in observation.databases]


def _traffic(seen: Traffic) -> dict[str, Any]:
    return {
        "database": seen.database,
        "seconds": seen.seconds,
        "transactions_per_s": seen.rate,
        "hold_s": seen.hold,
        "busy": seen.busy,
        "busy_peak": seen.peak,
        "open": seen.open,
        "utilisation": seen.utilisation,
        "sessions_per_s": seen.churn,
        "session_s": seen.session_s,
        "app_share": seen.app_share,
        "source": seen.source,
        "doubts": list(seen.doubts),
        "added": _counters(seen.added),
    }


def _counters(counters: Counters) -> dict[str, Any]:
    return {name: getattr(counters, name) for name in COUNTERS}


def _session(session: Session) -> dict[str, Any]:
    return {name: value for name, value in asdict(session).items() if name != "is_own"}


def _node(node: blocking.Node) -> dict[str, Any]:
    return {
        "pid": node.pid,
        "session": None if node.session is None else _session(node.session),
        "mode": None if node.wait is None else node.wait.mode,
        "locktype": None if node.wait is None else node.wait.locktype,
        "relation": None if node.wait is None else node.wait.relation,
        "waited_s": node.waited_s,
        "also": list(node.also),
        "blocked": [_node(each) for each in node.blocked],
    }


def _pooler(watched: Watched | None) -> dict[str, Any] | None:
    if watched is None:
        return None
    last = watched.last
    return {
        "at": last.name,
        "version": last.version,
        "clients": last.clients,
        "settings": dict(last.settings),
        "pools": [asdict(each) for each in last.pools],
        "longest_wait_s": {
            name: max(pool.maxwait_s for look in watched.looks for pool in look if pool.name == name)
            for name in sorted({pool.name for look in watched.looks for pool in look})
        },
        "seconds": watched.seconds or None,
        "work": {name: asdict(done) | {"mean_wait_s": done.mean_wait_s} for name, done in watched.done().items()},
    }


def _logs(report: Report) -> dict[str, Any]:
    assert report.told is not None
    told = log.document(report.told, ())
    return {name: told[name] for name in ("files", "events", "pools", "refusals")}
