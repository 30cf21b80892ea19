"""What could not be known, why, and what would tell it."""

from __future__ import annotations

from collections.abc import Iterator

from dbtune.pool.occupancy.finding import Unseen
from dbtune.pool.occupancy.words import duration, plural
from dbtune.server.sessions import DISABLED
from dbtune.server.situation import Situation
from dbtune.sql import quote_identifier

FRESH_S = 600.0
_SKEW_S = 2.0


def unseen(situation: Situation, *, has_log: bool) -> Iterator[Unseen]:
    """Yield what the situation leaves open."""
    snapshot = situation.snapshot
    clients = [each for each in snapshot.clients if not each.is_own]
    role = quote_identifier(situation.role)
    if snapshot.hidden:
        yield Unseen(
            what=f"what {snapshot.hidden} of {plural(len(clients), 'other session')} do, wait for and run; of them"
            " some may be parallel workers, which take no connection",
            why=f"role {situation.role} is no member of pg_read_all_stats",
            remedy=f"GRANT pg_monitor TO {role}",
        )
    if disabled := sum(each.state == DISABLED for each in clients):
        yield Unseen(
            what=f"what {plural(disabled, 'session')} do{'es' if disabled == 1 else ''}",
            why="track_activities is off there",
            remedy="track_activities = on, for the server, role or database that has it off",
        )
    if not situation.limits.switches.get("track_counts", True):
        yield Unseen(what="transactions, rates and hold times", why="track_counts is off", remedy="track_counts = on")
    if situation.version_num < 140_000:
        yield Unseen(
            what="sessions broken or new, hold time other than by sampling, how long a lock is waited for",
            why=f"PostgreSQL 14 began to count that, and this is {situation.version.split(' ')[0]}",
        )
    yield from _of_time(situation)
    if situation.bouncer_lost is not None:
        yield Unseen(what="PgBouncer's pools", why=situation.bouncer_lost)
    if situation.bouncer is None and not has_log:
        yield Unseen(
            what="how long the application waits for a connection, and what was refused or timed out",
            why="no view of the server tells",
            remedy="--log FILE with the logs of application and server, --pgbouncer URL, or dbtune capture sqlalchemy",
        )
    if situation.spills is None and situation.counted.temp_bytes:
        yield Unseen(
            what="which statements write temporary files",
            why="pg_stat_statements is not there, or not loaded",
            remedy="CREATE EXTENSION pg_stat_statements, with shared_preload_libraries; or log_temp_files = 0",
        )


def _of_time(situation: Situation) -> Iterator[Unseen]:
    """Yield what is open because of when and how long was counted."""
    if situation.snapshot.skew_s > _SKEW_S:
        yield Unseen(
            what="ages of sessions",
            why=f"the server's clock went back by {duration(situation.snapshot.skew_s)}: something began in its future",
        )
    observation = situation.observation
    if observation is not None:
        for doubt in observation.traffic().doubts:
            yield Unseen(what="rates, in part", why=doubt)
        return
    yield Unseen(
        what="rates, connections in use on average, new sessions a second",
        why="one look cannot tell",
        remedy="--interval 30s",
    )
    if situation.counted_since is None:
        yield Unseen(what="since when transactions are counted", why="the statistics of this database were never reset")
    elif situation.counted_s is not None and situation.counted_s < FRESH_S:
        yield Unseen(what="what is usual here", why=f"the statistics were reset {duration(situation.counted_s)} ago")
