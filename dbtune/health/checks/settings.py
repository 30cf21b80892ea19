"""Settings that are not safe, contradict each other, or keep evidence away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbtune.health.case import Case
from dbtune.health.check import Check, Group, Limits
from dbtune.health.finding import Confidence, Severity, Sign
from dbtune.health.section import Section
from dbtune.health.values.server import Setting

_OF_SERVER = frozenset(
    {"default", "configuration file", "command line", "environment variable", "global", "database", "override"}
)
"""Where a setting comes from that others have too: not from this role or session."""

_UNSAFE: Mapping[str, tuple[str, Severity, str]] = {
    "fsync": ("off", Severity.CRITICAL, "a crash of the machine may destroy the whole database"),
    "full_page_writes": ("off", Severity.CRITICAL, "a crash of the machine may leave pages half written"),
    "autovacuum": ("off", Severity.CRITICAL, "dead rows are never removed, and statistics never renewed"),
    "track_counts": ("off", Severity.CRITICAL, "nothing is counted, and autovacuum does not know where to go"),
    "zero_damaged_pages": ("on", Severity.CRITICAL, "damaged pages are silently emptied"),
    "ignore_checksum_failure": ("on", Severity.CRITICAL, "damaged pages are read as if they were sound"),
    "synchronous_commit": ("off", Severity.WARNING, "a crash loses the last transactions that were told to be done"),
}
_EVIDENCE: Mapping[str, tuple[str, str]] = {
    "track_io_timing": ("off", "no plan and no view can tell how long reads take"),
    "compute_query_id": ("off", "sessions and log lines cannot be matched with pg_stat_statements"),
    "log_lock_waits": ("off", "the log does not tell who waited for whose lock"),
    "log_temp_files": ("-1", "the log does not tell which statements went to disk"),
}


def unsafe(case: Case, limits: Limits) -> Iterator[Sign]:
    for name, (bad, severity, why) in _UNSAFE.items():
        setting = _of_server(case, name)
        if setting is not None and setting.setting == bad:
            yield _sign(setting, severity, f"{name} = {bad}: {why}", f"set it to {'on' if bad == 'off' else 'off'}")


def pending(case: Case, limits: Limits) -> Iterator[Sign]:
    for setting in case.now.settings.values():
        if setting.pending_restart:
            yield _sign(setting, Severity.INFO, "was changed, and waits for a restart", "restart when it suits")


def planner(case: Case, limits: Limits) -> Iterator[Sign]:
    for name, setting in sorted(case.now.settings.items()):
        if name.startswith("enable_") and setting.setting == "off" != setting.boot_val and _of_server(case, name):
            message = f"{name} = off for everybody: the planner avoids that way even where it is the best"
            action = "set it for the one query that needs it (SET LOCAL), and fix that one's estimates"
            yield _sign(setting, Severity.WARNING, message, action)
    cache, buffers = _of_server(case, "effective_cache_size"), _of_server(case, "shared_buffers")
    if cache is not None and buffers is not None and int(cache.setting) < int(buffers.setting):
        message = "smaller than shared_buffers: the planner thinks less is cached than PostgreSQL caches itself"
        yield _sign(
            cache, Severity.INFO, message, "set it to what the machine has for caching, shared_buffers included"
        )


def evidence(case: Case, limits: Limits) -> Iterator[Sign]:
    for name, (bad, why) in _EVIDENCE.items():
        setting = _of_server(case, name)
        if setting is not None and setting.setting == bad:
            yield _sign(setting, Severity.INFO, f"{name} = {bad}: {why}", "set it; it needs no restart")


def _of_server(case: Case, name: str) -> Setting | None:
    setting = case.now.settings.get(name)
    return setting if setting is not None and setting.source in _OF_SERVER else None


def _sign(setting: Setting, severity: Severity, message: str, action: str) -> Sign:
    return Sign(
        object=f"setting {setting.name}",
        severity=severity,
        message=message,
        action=action,
        confidence=Confidence.HIGH,
        evidence={"setting": setting.setting, "unit": setting.unit, "source": setting.source},
    )


_NEEDS = frozenset({Section.SETTINGS})
CHECKS = (
    Check(
        id="unsafe-setting",
        title="Setting that risks the data",
        group=Group.SERVER,
        reads=(f"pg_settings: {', '.join(_UNSAFE)}",),
        trigger="one of them has its dangerous value, for the server or this database",
        severity="critical; warning for synchronous_commit",
        why="Each is told with what may happen.",
        next_step="Set it back.",
        resolved="it has its safe value",
        needs=_NEEDS,
        judge=unsafe,
    ),
    Check(
        id="pending-restart",
        title="Setting that waits for a restart",
        group=Group.SERVER,
        reads=("pg_settings.pending_restart",),
        trigger="it was changed in the configuration, and counts after a restart only",
        severity="info",
        why="The next restart, perhaps an unplanned one, changes the server.",
        next_step="Restart, or set it back.",
        resolved="nothing waits",
        needs=_NEEDS,
        judge=pending,
    ),
    Check(
        id="planner-setting",
        title="Setting that misleads the planner",
        group=Group.SERVER,
        reads=("pg_settings: enable_*, effective_cache_size, shared_buffers",),
        trigger="a way of planning is off for the server or this database, or effective_cache_size < shared_buffers",
        severity="warning; info for effective_cache_size",
        why="It hides a wrong estimate in one query, and spoils others.",
        next_step="Set it back, and look at the query.",
        resolved="it has its usual value",
        needs=_NEEDS,
        judge=planner,
    ),
    Check(
        id="evidence-setting",
        title="Setting that keeps evidence away",
        group=Group.SERVER,
        reads=(f"pg_settings: {', '.join(_EVIDENCE)}",),
        trigger="one of them is off, for the server or this database",
        severity="info",
        why="When something goes wrong, nobody can tell what it was.",
        next_step="Set it; all of them may be set while the server runs.",
        resolved="it is set",
        needs=_NEEDS,
        judge=evidence,
    ),
)
