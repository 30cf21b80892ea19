"""``log_line_prefix`` (manual, 19.8.3): the expression that reads it, and which prefix a log was written with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from dbtune.errors import UsageError

COMMON = (
    "%m [%p] ",
    "%t [%p] ",
    "%m [%p] %q%u@%d ",
    "%m [%p] %u@%d ",
    "%m [%p]: ",
    "%t [%p]: ",
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%t [%p]: [%l-1] ",
    "%m [%p]: [%l-1] ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: db=%d,user=%u,app=%a,client=%h ",
    "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
    "%m [%p]: [%l-1] db=%d,user=%u ",
    "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%t-%c-",
    "%m %c ",
    "< %m > ",
    "< %m >",
    "%t ",
    "%m ",
    "",
)
"""Defaults of PostgreSQL, of distributions and hosts, and those that tools recommend."""

_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ZONE = r"[A-Za-z0-9_+:/-]+?"
_NAME = r"[^\n]{0,128}?"  # names have up to 63 bytes; the bound keeps long lines that do not fit from taking long
_ESCAPES = {
    "a": ("application", _NAME),
    "u": ("user", _NAME),
    "d": ("database", _NAME),
    "r": ("", r"\S{0,256}?"),
    "h": ("", r"\S{0,256}?"),
    "L": ("", r"\S{0,256}?"),
    "b": ("", _NAME),
    "p": ("process", r"\d+"),
    "P": ("", r"\d*"),
    "t": ("time", rf"{_TIME} {_ZONE}"),
    "m": ("time", rf"{_TIME}\.\d{{3}} {_ZONE}"),
    "n": ("time", r"\d+\.\d{3}"),
    "i": ("", _NAME),
    "e": ("sqlstate", r"[0-9A-Z]{5}"),
    "c": ("session", r"[0-9a-f]+\.[0-9a-f]+"),
    "l": ("", r"\d+"),
    "s": ("", rf"{_TIME} {_ZONE}"),
    "v": ("", r"(?:-?\d+/\d+)?"),
    "x": ("", r"\d+"),
    "Q": ("", r"-?\d+"),
}
_OF_SESSION = ("process", "session")
_PIECE = re.compile(r"%(?:(?P<quit>q)|(?P<percent>%)|(?P<width>-?\d+)?(?P<escape>[A-Za-z]))|(?P<text>[^%]+|%)")
_SEVERITY = (
    r"(?P<severity>LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG[1-5]?|DETAIL|HINT|QUERY|CONTEXT|STATEMENT"
    r"|LOCATION|BACKTRACE):  "
)
_TEXT = r"[^\n]*+(?:\n\t[^\n]*+)*+"
_HEAD = re.compile(r"(?:^|[^A-Za-z])(?:LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|DETAIL|STATEMENT|CONTEXT|HINT):  (?! )")
_OF_CLIENT = re.compile(r"(?:failed|[Ee]rror\)?|[Ee]xception):? (?:FATAL|ERROR|PANIC):  ")  # what a driver passes on

# What a line begins with, as escapes; in this order, because a later one would take a part of an earlier.
_GUESSES = (
    (re.compile(rf"{_TIME}\.\d{{3}} (?:[A-Z]{{1,5}}|[+-]\d\d(?::?\d\d)?)"), "%m"),
    (re.compile(rf"{_TIME} (?:[A-Z]{{1,5}}|[+-]\d\d(?::?\d\d)?)"), "%t"),
    (re.compile(r"\b\d{10}\.\d{3}\b"), "%n"),
    (re.compile(r"\b[0-9a-f]{8}\.[0-9a-f]+\b"), "%c"),
    (re.compile(r"\[\d+-1\]"), "[%l-1]"),
    (re.compile(r"\b\d+/\d+\b"), "%v"),
    (re.compile(r"\b(?<![%.(])\d+(?=[^\w.]|\Z)"), "%p"),
    (re.compile(r"\b(user|usr|u)=[^,\s]*"), r"\1=%u"),
    (re.compile(r"\b(db|database|d)=[^,\s]*"), r"\1=%d"),
    (re.compile(r"\b(app|application|a)=[^,]*?(?=,|\s*\Z|\s\w+=)"), r"\1=%a"),
    (re.compile(r"\b(client|host|h)=[^,\s]*"), r"\1=%h"),
    (re.compile(r"(?:\[local\]|[\d.]+|[0-9a-f:]+)\(\d+\)|\[local\]"), "%r"),
    (re.compile(r"[\w.\[\]-]+@[\w.\[\]-]+"), "%u@%d"),
)


@dataclass(frozen=True)
class Prefix:
    """A value of log_line_prefix."""

    text: str

    @property
    def is_common(self) -> bool:
        """Whether it is one that servers have: one made from lines may also fit what no server wrote."""
        return self.text in COMMON

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression for a line that begins an entry or a part of one.

        Its groups are ``severity``, ``rest`` and those of ``time``, ``process``, ``session``, ``user``, ``database``,
        ``application`` and ``sqlstate`` that the prefix has.
        """
        return re.compile(f"{''.join(_expressions(self.text))}{_SEVERITY}(?P<rest>.*)", re.DOTALL)

    @cached_property
    def whole(self) -> re.Pattern[str]:
        """The expression for all lines of a text in turn: no search, each match ends where the next begins.

        The text ends with a line break. What begins an entry or a part of one comes with its further lines (behind a
        tab) as ``rest``; ``detail`` is the DETAIL that follows it directly and is of the same session. A line without
        the prefix is ``other``; ``nothing`` is always empty. Groups else are those of :attr:`pattern`.
        """
        again = "".join(_expressions(self.text, again=True))
        return re.compile(
            rf"{''.join(_expressions(self.text))}{_SEVERITY}(?P<rest>{_TEXT})\n"
            rf"(?:{again}DETAIL:  (?P<detail>{_TEXT})\n)?+(?P<nothing>)|(?P<other>[^\n]*+)\n"
        )

    def matches(self, lines: Sequence[str]) -> int:
        """Return how many of the lines it fits."""
        match = self.pattern.match
        return sum(1 for line in lines if match(line))

    def told(self, lines: Sequence[str]) -> tuple[int, int]:
        """Return how many of the lines it fits, and how many values it finds in them."""
        found = [match for line in lines if (match := self.pattern.match(line))]
        return len(found), sum(1 for match in found for value in match.groups() if value)


def prefix(text: str) -> Prefix:
    """Return ``text`` as a prefix.

    :raises UsageError: it has an escape that PostgreSQL does not know.
    """
    for piece in _PIECE.finditer(text):
        escape = piece["escape"]
        if escape is not None and escape not in _ESCAPES:
            raise UsageError(f"--prefix {text!r}: %{escape} is none of PostgreSQL's; give the server's log_line_prefix")
    return Prefix(text)


def _expressions(text: str, *, again: bool = False) -> Iterator[str]:
    """Yield the expressions of the parts of a prefix, or those for the same session's next line."""
    seen: set[str] = set()
    optional = False
    for piece in _PIECE.finditer(text):
        if piece["quit"]:
            if not optional:
                yield "(?:"
            optional = True
        elif piece["percent"]:
            yield "%"
        elif piece["text"] is not None:
            yield re.escape(piece["text"])
        else:
            name, expression = _ESCAPES[piece["escape"]]
            if not name or name in seen:
                named = f"(?:{expression})"
            elif not again:
                named = f"(?P<{name}>{expression})"
            else:
                named = f"(?P={name})" if name in _OF_SESSION else f"(?:{expression})"
            seen.add(name)
            width = int(piece["width"] or 0)
            # a background process has no value for some escapes: nothing, or only the padding, stands there
            yield f"{' *' if width > 0 else ''}{named}{' *' if width < 0 else ''}"
    if optional:
        yield ")?"


def fitting(lines: Sequence[str]) -> Prefix | None:
    """Return the prefix that fits most of the lines, one of :data:`COMMON` or one made from the lines; None for none.

    It fits if at least half of the lines that look like an entry's begin with it.
    """
    heads = [line for line in lines if not line.startswith("\t") and _HEAD.search(line) and not _OF_CLIENT.search(line)]
    candidates = [Prefix(text) for text in dict.fromkeys((*COMMON, *_derived(heads)))]
    # among equals the one that tells most with the fewest words; a common one before a derived one
    best = max(candidates, key=lambda each: (*each.told(heads), each.is_common, -len(each.text)))
    count = best.matches(heads)
    return best if count and count * 2 >= len(heads) else None


def _derived(heads: Sequence[str]) -> Iterator[str]:
    """Yield prefixes made from some of the lines, their parts replaced by the escapes that write such parts."""
    for line in (heads[0], heads[len(heads) // 2], heads[-1]) if heads else ():
        found = _HEAD.search(line)
        assert found is not None  # heads are those where it is found
        start = found.start() if found[0][0].isupper() else found.start() + 1
        text = line[:start].replace("%", "%%")
        for expression, escape in _GUESSES:
            text = expression.sub(escape, text)
        if all(piece["escape"] is None or piece["escape"] in _ESCAPES for piece in _PIECE.finditer(text)):
            yield text
