"""What an application's log tells of its connection pools: time-outs, states, and connections that the server refused.

Any file is read, lines of text or of JSON, whatever a logger puts before the message. Three things are looked for:

- SQLAlchemy's time-out (https://sqlalche.me/e/20/3o7r), also as the last line of a traceback;
- a pool's state: ``Pool.status()``'s own text, or numbers named pool_size, checked_in, checked_out and overflow in any
  usual spelling, as ``name=5``, ``name: 5`` or in JSON;
- the server's refusal of one more connection, as psycopg and asyncpg pass it on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

_WORDS = ("QueuePool limit", "hecked", "HECKED", "too many c", "connection slots")
"""One of these is in every line of interest; to look for fixed words is fastest."""

_TIMEOUT = re.compile(
    r"QueuePool limit of size (?P<size>\d+) overflow (?P<overflow>-?\d+) reached, connection timed out"
    r"(?:, timeout (?P<seconds>\d+(?:\.\d+)?))?"
)
_CHAINED = re.compile(r"\s+(?:The above exception was the direct cause of|During handling of the above exception)")
_REFUSED = re.compile(
    r"sorry, too many clients already|remaining connection slots are reserved [^\"\n\\]*"
    r"|too many connections for (?:role|database) [^\n\\]*"
)
_CHECKED_OUT = re.compile(r"checked[ _.-]?out", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z_.\- ]{0,60})[\"']?\s{0,3}[=:]\s{0,3}[\"']?(?P<number>-?\d{1,9})(?![\w.])"
)
_OTHER_CHARACTERS = re.compile(r"[^a-z]")
_SPELLINGS = {
    "maxoverflow": "max_overflow",
    "overflow": "overflow",
    "checkedoutconnections": "checked_out",
    "checkedout": "checked_out",
    "checkedinconnections": "checked_in",
    "checkedin": "checked_in",
    "connectionsinpool": "checked_in",
    "poolsize": "size",
}
"""Ends of names, without their case and punctuation; an earlier one counts before a later."""

_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)"
_RECORD = re.compile(rf"^(?:.{{0,60}}\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d|\{{|\W?{_LEVEL}\b)", re.MULTILINE)
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<second>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,6})\d*)?"
    r" ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)?(?![\d:])"
)
_COMMON_LOG = re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}")
_EPOCH = re.compile(r'"(?:ts|time|timestamp|created)": ?"?(\d{10})(?:(?:\.(\d{1,6}))|(\d{3}))?\d*"?[,}]')

_SIGN = re.compile(
    rf"""\d\d:\d\d:\d\d,\d{{3}}\b                        # logging's %(asctime)s
    |^{_LEVEL}:[\w.]+:                                   # its default format
    |[\[(<|]\s?{_LEVEL}\s*[\])>|]                        # gunicorn, structlog, loguru
    |\s-\s{_LEVEL}\s-\s
    |^{_LEVEL}:\s{{3,}}                                  # uvicorn
    |\b(?:level|lvl|levelname|severity)["']?\s?[=:]\s?["']?[A-Za-z]
    |^Traceback\ \(most\ recent\ call\ last\):|^\s+File\ "[^"]+",\ line\ \d+
    |^[A-Za-z_][\w.]*(?:Error|Exception|Timeout|Warning)\b:\s
    |"(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\ \S+\ HTTP/\d
    |^\{{"
    |QueuePool\ limit\ of\ size|Pool\ size:\ \d|checked_?out["']?\s?[=:]\s?\d
    |\b(?:psycopg2?|asyncpg|sqlalchemy)\.[\w.]*Error
    """,
    re.VERBOSE | re.MULTILINE,
)
_DISTINCT_KEPT = 10_000
_LOOKED_BACK = 16_384  # characters before a block, for the time of a traceback that begins there


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTimeout:
    """A request waited ``timeout_seconds`` for a connection and got none.

    All ``size`` connections of the pool and ``overflow`` more, as many as were allowed, were checked out.
    """

    time: datetime | None
    size: int
    overflow: int
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """What a pool had at one moment, by the names of SQLAlchemy's QueuePool.

    ``overflow`` is negative while fewer than ``size`` connections are open. ``max_overflow`` is known only where the
    line says it.
    """

    time: datetime | None
    size: int
    checked_in: int
    checked_out: int
    overflow: int
    max_overflow: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The server had no place for one more connection; ``message`` is what it said."""

    time: datetime | None
    message: str


Told = PoolTimeout | PoolState | Refusal


def signs(lines: Sequence[str]) -> int:
    """Return how many of the lines look like an application's log; those behind a tab may be a statement's."""
    return sum(1 for line in lines if line[:1] != "\t" and _SIGN.search(line))


def told(text: str, before: str = "") -> Iterator[Told]:
    """Yield what some lines of an application's log tell of its pools; ``before`` is the text that came before.

    A line without a time has that of the last line before it that has one. One exception that a traceback shows again,
    as the cause of another, counts once; so does what one line says twice.
    """
    if not any(word in text for word in _WORDS):
        return
    time = _last_time(before, 0, len(before))
    last_timeout: re.Match[str] | None = None
    since = 0
    for start, stop in _lines_of_interest(text):
        line = text[start:stop]
        time = _last_time(text, since, stop) or time
        since = stop
        if found := _TIMEOUT.search(text, start, stop):
            if not _is_shown_again(text, last_timeout, found):
                yield PoolTimeout(
                    time=time,
                    size=int(found["size"]),
                    overflow=int(found["overflow"]),
                    timeout_seconds=float(found["seconds"]) if found["seconds"] else None,
                )
            last_timeout = found
        elif _CHECKED_OUT.search(line) and (state := _state(line, time)) is not None:
            yield state
        elif refused := _REFUSED.search(line):
            yield Refusal(time=time, message=refused[0].rstrip())


def _lines_of_interest(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each line with one of the words begins and ends, in their order."""
    starts = {text.rfind("\n", 0, at) + 1 for word in _WORDS for at in _places(text, word)}
    for start in sorted(starts):
        stop = text.find("\n", start)
        yield start, len(text) if stop < 0 else stop


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _is_shown_again(text: str, before: re.Match[str] | None, found: re.Match[str]) -> bool:
    """Return whether a traceback names the time-out ``before`` as the cause of what says ``found``."""
    if before is None or before.group("size", "overflow") != found.group("size", "overflow"):
        return False
    end_of_line = text.find("\n", before.end())
    if end_of_line < 0 or _CHAINED.match(text, end_of_line) is None:
        return False
    return _RECORD.search(text, end_of_line, text.rfind("\n", 0, found.start()) + 1) is None


def _state(line: str, time: datetime | None) -> PoolState | None:
    """Return the state that a line tells, None if it leaves too much open."""
    numbers: dict[str, int] = {}
    for found in _NUMBER.finditer(line):
        name = _OTHER_CHARACTERS.sub("", found["name"].lower())
        known = next((meant for spelling, meant in _SPELLINGS.items() if name.endswith(spelling)), None)
        if known is None and name in ("size", "poolsize", "dbpoolsize"):
            known = "size"
        if known is not None:
            numbers.setdefault(known, int(found["number"]))
    size, checked_in, overflow = (numbers.get(name) for name in ("size", "checked_in", "overflow"))
    checked_out = numbers.get("checked_out")
    if checked_out is None:
        return None
    # QueuePool: checked out = size - checked in + overflow
    if size is None and checked_in is not None and overflow is not None:
        size = checked_out + checked_in - overflow
    if size is None:
        return None
    if checked_in is None:
        checked_in = max(0, size - checked_out) if overflow is None else size + overflow - checked_out
    if overflow is None:
        overflow = checked_out + checked_in - size
    return PoolState(
        time=time,
        size=size,
        checked_in=checked_in,
        checked_out=checked_out,
        overflow=overflow,
        max_overflow=numbers.get("max_overflow"),
    )


def _last_time(text: str, start: int, stop: int) -> datetime | None:
    """Return the time of the last line between ``start`` and ``stop`` that has one, looking at the last ones only."""
    while stop > start:
        begin = max(start, text.rfind("\n", start, stop) + 1)
        if (found := when(text[begin:stop])) is not None:
            return found
        stop = begin - 1
    return None


def when(line: str) -> datetime | None:
    """Return the time that a line tells, the first if there are several; without its zone where the line has none."""
    if found := _ISO.search(line):
        try:
            zone = {"Z": "+00:00", "UTC": "+00:00", "GMT": "+00:00", None: ""}.get(found["zone"], found["zone"])
            fraction = f".{found['fraction']:0<6}" if found["fraction"] else ""
            return datetime.fromisoformat(f"{found['day']}T{found['second']}{fraction}{zone}")
        except ValueError:
            return None
    if found := _EPOCH.search(line):
        seconds, fraction, milliseconds = found.groups()
        return datetime.fromtimestamp(float(f"{seconds}.{fraction or milliseconds or 0}"), UTC)
    if found := _COMMON_LOG.search(line):
        try:
            return datetime.strptime(found[0], "%d/%b/%Y:%H:%M:%S %z")
        except ValueError:
            return None
    return None


@dataclass(slots=True)
class Pool:
    """All that is known of the pools of one size.

    ``max_overflow`` is the most that was seen or said; None where no line tells. ``checked_out`` counts the states by
    how many connections were checked out.
    """

    size: int
    max_overflow: int | None = None
    timeouts: int = 0
    timeout_seconds: float | None = None
    checked_out: Counter[int] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    @property
    def states(self) -> int:
        """How many lines tell the pool's state."""
        return self.checked_out.total()

    @property
    def most_checked_out(self) -> int | None:
        """The most connections that were checked out at once; None where no line tells."""
        told = max(self.checked_out, default=None)
        limit = self.limit if self.timeouts else None
        return told if limit is None else max(limit, told or 0)

    @property
    def limit(self) -> int | None:
        """How many connections may be checked out at once; None where no line tells."""
        return None if self.max_overflow is None or self.max_overflow < 0 else self.size + self.max_overflow

    @property
    def at_size(self) -> int:
        """In how many states as many connections as the pool keeps were checked out, or more."""
        return sum(count for checked_out, count in self.checked_out.items() if checked_out >= self.size)

    @property
    def at_limit(self) -> int | None:
        """In how many states no further connection could be checked out; None where the limit is not known."""
        limit = self.limit
        if limit is None:
            return None
        return sum(count for checked_out, count in self.checked_out.items() if checked_out >= limit)

    def add(self, one: PoolTimeout | PoolState) -> None:
        """Take one more line."""
        match one:
            case PoolTimeout():
                self.timeouts += 1
                self._allow(one.overflow)
                self.timeout_seconds = one.timeout_seconds if self.timeout_seconds is None else self.timeout_seconds
            case PoolState():
                self._allow(one.max_overflow)
                if one.checked_out in self.checked_out or len(self.checked_out) < _DISTINCT_KEPT:
                    self.checked_out[one.checked_out] += 1
        self.first = one.time if self.first is None else self.first
        self.last = one.time if one.time is not None else self.last

    def join(self, later: Pool) -> None:
        """Add what a later part of the log, or another log, tells."""
        self.timeouts += later.timeouts
        self._allow(later.max_overflow)
        self.timeout_seconds = later.timeout_seconds if self.timeout_seconds is None else self.timeout_seconds
        self.checked_out.update(later.checked_out)
        self.first = later.first if self.first is None else self.first
        self.last = later.last if later.last is not None else self.last

    def _allow(self, overflow: int | None) -> None:
        if overflow is not None:
            self.max_overflow = overflow if self.max_overflow is None else max(self.max_overflow, overflow)


@dataclass(slots=True)
class Refusals:
    """How often the server refused a connection, and what it said first."""

    count: int = 0
    message: str = ""
    first: datetime | None = None
    last: datetime | None = None

    def join(self, later: Refusals) -> None:
        """Add what a later part of the log, or another log, tells."""
        self.count += later.count
        self.message = self.message or later.message
        self.first = later.first if self.first is None else self.first
        self.last = later.last if later.last is not None else self.last


@dataclass(slots=True)
class Evidence:
    """What the log of an application tells of its pools, by their size."""

    pools: dict[int, Pool] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    _before: str = ""

    def __bool__(self) -> bool:
        return bool(self.pools or self.refusals.count)

    def add(self, text: str) -> None:
        """Take some more lines."""
        for one in told(text, self._before):
            if isinstance(one, Refusal):
                self.refusals.join(Refusals(1, one.message, one.time, one.time))
            elif one.size in self.pools or len(self.pools) < _DISTINCT_KEPT:
                self.pools.setdefault(one.size, Pool(one.size)).add(one)
        before = text if len(text) >= _LOOKED_BACK else f"{self._before}\n{text}"
        self._before = before[-_LOOKED_BACK:]

    def join(self, later: Evidence) -> None:
        """Add what a later part of the log, or another log, tells."""
        for size, pool in later.pools.items():
            self.pools.setdefault(size, Pool(size)).join(pool)
        self.refusals.join(later.refusals)
