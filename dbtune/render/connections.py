"""The page of ``dbtune connections``: what is wrong first, then who has the connections, and what is not known."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from dbtune.pool.occupancy import blocking, holders
from dbtune.pool.occupancy.finding import Finding, Severity, Unseen
from dbtune.pool.occupancy.judging import Report
from dbtune.pool.occupancy.present import doing, named
from dbtune.pool.occupancy.words import amount, duration, per_second, plural, share
from dbtune.render import log, table
from dbtune.server.counters import Counters
from dbtune.server.limits import CONNECTIONS
from dbtune.server.sessions import Session
from dbtune.server.situation import Situation, Watched
from dbtune.server.traffic import Traffic
from dbtune.workload.capture.log.events import Kind
from dbtune.workload.capture.log.gathered import Gathered

_WIDEST = 132
_HOLDERS, _WAITS, _CLIENTS, _TRANSACTIONS = 12, 6, 8, 5
_OLD_S = 1.0
_COLOURS = {Severity.CRITICAL: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.INFO: "\x1b[1m"}
_PLAIN = "\x1b[0m"


def screen(report: Report, width: int, *, markdown: bool = False, colour: bool = False) -> str:
    """Return the page, ``width`` columns wide; Markdown is as wide as it comes."""
    width = _WIDEST if markdown else min(width, _WIDEST)
    situation = report.situation
    parts = [_head(situation, width, markdown), _findings(report.findings, width, markdown, colour)]
    for title, lines in (
        ("Who blocks whom", _blocking(situation, width)),
        ("Who has connections", _who(situation, width, markdown)),
        ("Oldest transactions", _transactions(situation, width)),
        ("Traffic by database", _databases(situation, width, markdown)),
        ("PgBouncer", _pooler(situation.bouncer, width, markdown)),
        ("From the logs", _logs(report, width, markdown)),
        ("Not known", _unseen(report.unseen, width, markdown)),
    ):
        if lines:
            parts.append(_section(title, lines, markdown))
    return "\n\n".join(parts) + "\n"


def _safe(text: str) -> str:
    """Return the text without what would steer a terminal: anybody may choose such names for roles and databases."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _section(title: str, lines: Sequence[str], markdown: bool) -> str:
    text = _safe("\n".join(lines))
    if not markdown:
        return f"{title}\n{text}"
    return f"## {title}\n\n" + (text if text.startswith(("|", "-")) else f"```\n{text}\n```")


def _head(situation: Situation, width: int, markdown: bool) -> str:
    watched = ""
    if situation.observation is not None:
        watched = f", watched for {duration(situation.observation.traffic().seconds)}"
    standby = ", a standby" if situation.in_recovery else ""
    version = situation.version.split(" ")[0]
    lead = f"PostgreSQL {version} at {situation.server}{standby}, {situation.at:%Y-%m-%d %H:%M:%S %Z}{watched}"
    facts = {
        "connections": _used(situation),
        "limits": _limits(situation),
        "states": ", ".join(f"{count} {state}" for state, count in _states(situation).items()) or "nobody else is here",
        "clients": _few(holders.by_client(_others(situation)), _CLIENTS),
        "traffic": _traffic(situation),
        "waits": _waits(situation),
    }
    if markdown:
        return _safe(f"# {lead}\n\n" + "\n".join(f"- {name}: {fact}" for name, fact in facts.items() if fact))
    lines = [textwrap.fill(lead, width, break_on_hyphens=False)]
    for name, fact in facts.items():
        if fact:
            lines += _wrapped(fact, width, f"  {name:<13}", " " * 15)
    return _safe("\n".join(lines))


def _used(situation: Situation) -> str:
    usable = situation.limits.usable
    peak = f", at most {situation.peak}" if situation.observation is not None else ""
    part = f" ({share(situation.used / usable)})" if usable else ""
    return f"{situation.used} of {usable} usable are taken{part}{peak}; one is dbtune's own"


def _limits(situation: Situation) -> str:
    limits = situation.limits
    told = []
    for name in CONNECTIONS:
        value = getattr(limits, name)
        if name in limits.sources and (value or name == "max_connections"):
            waits = ", another value waits for a restart" if name in limits.pending else ""
            told.append(f"{name} {value} ({limits.sources[name]}{waits})")
    for kind, found, attribute in (("role", limits.roles, "usename"), ("database", limits.databases, "datname")):
        for limit in found:
            used = sum(getattr(each, attribute) == limit.name for each in situation.snapshot.clients)
            told.append(f"{kind} {limit.name} {used} of {limit.most}")
    return ", ".join(told)


def _states(situation: Situation) -> Mapping[str, int]:
    return holders.by_state(_others(situation))


def _others(situation: Situation) -> list[Session]:
    return [each for each in situation.snapshot.clients if not each.is_own]


def _traffic(situation: Situation) -> str:
    if situation.observation is None:
        return _counted(situation.counted, situation)
    return traffic(situation.observation.traffic())


def traffic(seen: Traffic) -> str:
    """Return what went on in a database, in a sentence or two."""
    if seen.is_quiet:
        first = f"no transaction was counted in {seen.database} within {duration(seen.seconds)}"
    else:
        held = "" if seen.hold is None else f", each holds a connection {duration(seen.hold)}"
        part = "" if seen.app_share is None else f", {share(seen.app_share)} of that idle in transaction"
        first = f"{per_second(seen.rate, 'transactions')} in {seen.database}{held}{part}"
    told = [first]
    if seen.busy is not None and seen.open:
        peak = "" if seen.peak is None else f", at most {seen.peak}"
        stuck = f", {seen.stuck:.2g} of them by transactions from before" if seen.stuck else ""
        told.append(f"{seen.busy:.2g} of {seen.open:.3g} open connections in use{peak} (by {seen.source}){stuck}")
    if seen.churn:
        lasts = "" if seen.session_s is None else f", that last {duration(seen.session_s)}"
        told.append(f"{per_second(seen.churn, 'new sessions')}{lasts}")
    return "; ".join(told)


def _counted(counted: Counters, situation: Situation) -> str:
    since = situation.counted_since
    when = "since ever" if since is None else f"since {since:%Y-%m-%d %H:%M}"
    if not counted.transactions:
        return f"no transaction was counted in {situation.database} {when}"
    told = [f"{plural(counted.transactions, 'transaction')} in {situation.database} {when}"]
    if counted.hold_s is not None:
        told.append(f"each held a connection {duration(counted.hold_s)}")
    if counted.app_share is not None:
        told.append(f"{share(counted.app_share)} of that idle in transaction")
    if counted.broken and counted.sessions:
        told.append(f"{counted.broken:,} of {plural(counted.sessions, 'session')} ended broken")
    return ", ".join(told)


def _waits(situation: Situation) -> str:
    samples = situation.observation.samples if situation.observation is not None else ()
    found = holders.waits(situation.snapshot.clients, samples)
    told = []
    for each in found[:_WAITS]:
        event = f"for {each.kind}:{each.event}" if each.kind else "for nothing (CPU)"
        what = "idle in transaction" if each.state != "active" else event
        told.append(f"{f'{each.mean:.2g}' if samples else f'{each.mean:.0f}'} {what}")
    more = [f"{len(found) - _WAITS} more"] if len(found) > _WAITS else []
    return ", ".join(told + more)


def _few(counts: Mapping[str, int], most: int) -> str:
    told = [f"{count} from {name}" for name, count in list(counts.items())[:most]]
    if len(counts) > most:
        told.append(f"{sum(list(counts.values())[most:])} from {len(counts) - most} more addresses")
    return ", ".join(told)


def _findings(found: Sequence[Finding], width: int, markdown: bool, colour: bool) -> str:
    if not found:
        return "Nothing is wrong that can be seen from here."
    lines: list[str] = []
    for each in found:
        name = _safe(f"{each.severity.word.upper()} {each.check} ({each.object})")
        message, action = _safe(each.message), _safe(each.action)
        if markdown:
            lines.append(f"- **{name}**: {message}. Next: {action}")
            continue
        lines.append(f"{_COLOURS[each.severity]}{name}{_PLAIN}" if colour else name)
        lines += _wrapped(message, width, "  ", "  ")
        lines += _wrapped(f"→ {action}", width, "  ", "    ")
    return "\n".join(lines)


def _blocking(situation: Situation, width: int) -> list[str]:
    lines: list[str] = []
    for tree in blocking.trees(situation.snapshot):
        lines += _drawn(tree, "", "", width)
    return lines


def _drawn(node: blocking.Node, first: str, others: str, width: int) -> Iterator[str]:
    """Yield the session, its statement below it, and those that wait for it; ``first`` leads the first line."""
    yield _cut(f"{first}{_node(node)}", width)
    if node.session is not None and node.session.query:
        yield _cut(f"{others}{'│  ' if node.blocked else '   '}{node.session.query}", width)
    for number, each in enumerate(node.blocked, 1):
        corner, below = ("└─ ", "   ") if number == len(node.blocked) else ("├─ ", "│  ")
        yield from _drawn(each, others + corner, others + below, width)


def _node(node: blocking.Node) -> str:
    if node.pid == blocking.PREPARED:
        return "a prepared transaction (pg_prepared_xacts)"
    who = f"pid {node.pid}" if node.session is None else named(node.session)
    also = f", also for pid {', '.join(map(str, node.also))}" if node.also else ""
    if node.wait is not None:
        waited = "" if node.waited_s is None else f" {duration(node.waited_s)}"
        return f"{who} waits{waited} for {node.wait.relation or node.wait.locktype}, {node.wait.mode}{also}"
    return who if node.session is None else f"{who} {doing(node.session)}"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _who(situation: Situation, width: int, markdown: bool) -> list[str]:
    samples = situation.observation.samples if situation.observation is not None else ()
    found = holders.holders(_others(situation), samples)
    if not found:
        return []
    headers = [
        "application, role@database",
        "open",
        "active",
        "in tx",
        "idle",
        *(["busy"] if samples else ()),
        "oldest tx",
    ]
    rows = []
    for each in found[:_HOLDERS]:
        name = f"{each.application_name}, {each.usename}{f'@{each.datname}' if each.datname else ''}"
        hidden = each.unseen == each.open and each.open > 0
        states = ["?"] * 3 if hidden else [str(each.active), str(each.idle_in_transaction), str(each.idle)]
        busy = [] if not samples else ["?" if hidden or each.busy is None else f"{each.busy:.2f}"]
        oldest = "" if each.longest_s is None else duration(each.longest_s)
        rows.append([name, str(each.open), *states, *busy, oldest])
    lines = _table(headers, rows, width, markdown)
    if len(found) > _HOLDERS:
        rest = sum(each.open for each in found[_HOLDERS:])
        lines.append(f"and {plural(rest, 'connection')} of {len(found) - _HOLDERS} more; --format json has all")
    return lines


def _transactions(situation: Situation, width: int) -> list[str]:
    waits = situation.snapshot.waits  # those are in the trees
    found = sorted(
        (each for each in _others(situation) if (each.xact_s or 0) >= _OLD_S and each.pid not in waits),
        key=lambda each: -(each.xact_s or 0),
    )
    lines: list[str] = []
    for each in found[:_TRANSACTIONS]:
        lines.append(_cut(f"{duration(each.xact_s or 0)}: {named(each)} {doing(each)}", width))
        lines += [_cut(f"  {each.query}", width)] if each.query else []
    if len(found) > _TRANSACTIONS:
        lines.append(f"and {len(found) - _TRANSACTIONS} more")
    return lines


def _databases(situation: Situation, width: int, markdown: bool) -> list[str]:
    observation = situation.observation
    if observation is None:
        return []
    traffics = [observation.traffic(name) for name in observation.databases]
    busy = [seen for seen in traffics if not seen.is_quiet or seen.busy or seen.database == situation.database]
    if len(busy) < 2:
        return []
    rows = [
        [
            seen.database,
            per_second(seen.rate),
            "" if seen.hold is None else duration(seen.hold),
            "?" if seen.busy is None else f"{seen.busy:.2f}",
            f"{seen.open:.1f}",
            "?" if seen.churn is None else per_second(seen.churn),
            "" if seen.app_share is None else share(seen.app_share),
        ]
        for seen in busy
    ]
    return _table(["database", "transactions", "hold", "busy", "open", "new", "in tx"], rows, width, markdown)


def _pooler(watched: Watched | None, width: int, markdown: bool) -> list[str]:
    if watched is None:
        return []
    last = watched.last
    settings = ", ".join(f"{name} {value}" for name, value in last.settings.items() if value not in ("0", ""))
    lines = [] if markdown else _wrapped(f"{last.version} at {last.name}: {settings}", width, "", "  ")
    rows = []
    for pool in last.pools:
        waited = max((each.maxwait_s for look in watched.looks for each in look if each.name == pool.name), default=0.0)
        size = "" if pool.size is None else f" of {pool.size}"
        rows.append(
            [
                f"{pool.name}{f', {pool.mode}' if pool.mode else ''}",
                str(pool.cl_active),
                str(pool.cl_waiting),
                duration(waited) if waited else "",
                f"{pool.servers}{size}",
                str(pool.sv_active),
            ]
        )
    headers = ["pool, mode", "clients", "waiting", "longest", "servers", "in use"]
    lines += _table(headers, rows, width, markdown) if rows else ["no pool is open"]
    when = f"within {duration(watched.seconds)}" if watched.seconds else "since it began"
    for database, done in watched.done().items():
        if done.transactions:
            wait = "" if done.mean_wait_s is None else f", a mean wait of {duration(done.mean_wait_s)} for a connection"
            text = f"{database}: {plural(done.transactions, 'transaction')} {when}{wait}"
            lines += ["", text] if markdown else _wrapped(text, width, "", "  ")
    return lines


def _logs(report: Report, width: int, markdown: bool) -> list[str]:
    if report.told is None:
        return []
    text = log.text(report.told, markdown=markdown).rstrip("\n")
    lines = text.split("\n") if text else ["they tell nothing of refusals, time-outs, locks or broken sessions"]
    if markdown or max(map(len, lines)) <= width:
        return lines
    return [line for each in _narrow(report.told) for line in _wrapped(each, width, "", "  ")]


def _narrow(told: Gathered) -> Iterator[str]:
    """Yield the same for narrow places."""
    for kind, tally in sorted(told.events.items()):
        longest = f", the longest {duration(tally.most / 1000)}" if kind is Kind.LOCK_WAIT else ""
        largest = f", {amount(tally.amount)} altogether" if kind is Kind.TEMPORARY_FILE else ""
        yield f"{tally.count:,} × {kind.value}{longest}{largest}{_period(tally.first, tally.last)}"
    for _, pool in sorted(told.evidence.pools.items()):
        size = f"pool of {pool.size}" + ("" if pool.max_overflow is None else f" + {pool.max_overflow}")
        most = "" if pool.most_checked_out is None else f", at most {pool.most_checked_out} out at once"
        lines = f", {plural(pool.states, 'line')} about it" if pool.states else ""
        yield f"{size}: {plural(pool.timeouts, 'time-out')}{most}{lines}{_period(pool.first, pool.last)}"
    refusals = told.evidence.refusals
    if refusals.count:
        yield f"{refusals.count:,} × refused, as an application tells{_period(refusals.first, refusals.last)}"


def _period(first: datetime | None, last: datetime | None) -> str:
    times = dict.fromkeys(f"{each:%Y-%m-%d %H:%M:%S}" for each in (first, last) if each is not None)
    return f", {' to '.join(times)}" if times else ""


def _unseen(found: Sequence[Unseen], width: int, markdown: bool) -> list[str]:
    lines: list[str] = []
    for each in found:
        remedy = "" if each.remedy is None else f"; to see it: {each.remedy}"
        text = f"- {each.what}: {each.why}{remedy}"
        lines += [text] if markdown else _wrapped(text, width, "", "  ")
    return lines


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int, markdown: bool) -> list[str]:
    if markdown:
        return table.markdown(headers, rows, ["left", *["right"] * (len(headers) - 1)]).split("\n")
    head, *lines = table.aligned(headers, rows, width)
    return [head, "─" * width, *(line for each in lines for line in each.split("\n"))]


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )
