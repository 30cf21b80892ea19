"""Lines of a TEXT plan as EXPLAIN printed them, where a terminal, a mail or a string's own line break cut them up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from dbtune.plan.formats import keys, nodes, properties
from dbtune.plan.formats.problem import UnreadablePlan


class Kind(Enum):
    """What a line of a plan is."""

    ROOT = "root"
    NODE = "node"
    LABEL = "label"
    PROPERTY = "property"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line: where it starts, how far it is indented, and its text without that."""

    number: int
    column: int
    kind: Kind
    text: str


TARGET = re.compile(r"(?:Foreign )?(?:Insert|Update|Delete|Merge) on (.+)")
"""One of several tables that a statement changes."""

_ARROW = re.compile(r"->\s+[A-Z?]")
_LABEL = re.compile(r"(?:InitPlan|SubPlan|CTE) \S.*")
_KEY = re.compile(r"([A-Z][\w/ .-]*):(?: |\Z)")
_WORKER = re.compile(r"\AWorker \d+:\s*")
_DIGITS = re.compile(r"[\d.]+(?: ms|kB)?")
_BRACKETS = re.compile(r"""['"()\[\]]""")

_KNOWN = (
    keys.NUMBERS
    | keys.BOOLEANS
    | keys.LISTS
    | properties.FOLLOWERS.keys()
    | {"Filter", "Index Cond", "Recheck Cond", "TID Cond", "Order By", "Join Filter", "Hash Cond", "Merge Cond"}
    | {"One-Time Filter", "Run Condition", "Conflict Resolution", "Conflict Filter", "Function Call", "Window"}
    | {"Table Function Call", "Cache Key", "Cache Mode", "Remote SQL", "Relations", "Sampling", "Heap Blocks"}
    | {"Buffers", "I/O Timings", "WAL", "Tuples", "Planning", "JIT", "Serialization", "Settings"}
)

_WORDS = "AND|OR|IS|NOT|AS|THEN|ELSE|WHEN|COLLATE|NULLS|on|using"
_BEFORE_SPACE = re.compile(rf"(?:,|\)| [=<>~!*+|&/-]+|(?<!:):|\b(?:{_WORDS}|CASE|BY|FROM|Scan))\Z")
_AFTER_SPACE = re.compile(
    rf"(?:{_WORDS}|DESC|END|Join|Scan|ROWS|RANGE|PRECEDING|FOLLOWING|REPEATABLE|precision|varying)\b"
    r"|[=<>~!*+|&/-]+ |(?:hit|read|dirtied|written|write|temp|local|lossy)[ =]"
)


def is_node(text: str) -> bool:
    """Return whether ``text`` is a line with a node's costs or times."""
    return nodes.measures_at(text) < len(text) and not _KEY.match(text)


def is_root(text: str) -> bool:
    """Return whether ``text`` could be the first line of a plan."""
    return text[:1].isupper() and not _KEY.match(text) and (is_node(text) or nodes.is_known(text))


@dataclass(slots=True)
class _Pieces:
    """A line in the pieces that it was cut into. ``cut`` says that the next piece is to come, whatever it is.

    ``quoted`` tells of each piece whether it ends within a string; ``quote`` and ``depth`` are those of the last one.
    """

    number: int
    column: int
    kind: Kind
    cut: bool = False
    raw: list[str] = field(default_factory=list)
    quoted: list[bool] = field(default_factory=list)
    quote: str = ""
    depth: int = 0

    def add(self, raw: str) -> None:
        self.raw.append(raw)
        self._follow(raw)
        self.quoted.append(self.quote == "'")

    @property
    def is_open(self) -> bool:
        """Whether it ends within quotes or brackets, as no whole line of EXPLAIN's does."""
        return bool(self.quote) or self.depth > 0

    @property
    def key(self) -> str:
        match = _KEY.match(_WORKER.sub("", self.raw[0].lstrip(), count=1))
        return match[1] if match else ""

    @property
    def is_measured(self) -> bool:
        return any(nodes.measures_at(raw) < len(raw) for raw in self.raw)

    def _follow(self, raw: str) -> None:
        if not self.quote and "'" not in raw and '"' not in raw:
            self.depth += raw.count("(") + raw.count("[") - raw.count(")") - raw.count("]")
            return
        for match in _BRACKETS.finditer(raw):
            mark = match[0]
            if self.quote:
                self.quote = "" if mark == self.quote else self.quote
            elif mark in "'\"":
                self.quote = mark
            else:
                self.depth += 1 if mark in "([" else -1


@dataclass(frozen=True, slots=True)
class _Wrap:
    """How wide lines are, and whether they were cut there (``hard``), or between words of the plan (``words``)."""

    width: int
    hard: bool
    words: bool

    def is_full(self, before: str, after: str) -> bool:
        """Return whether the first word of the second line had no place on the first."""
        return len(before) + 1 + len(after.split(maxsplit=1)[0] if after.strip() else "") > self.width


def logical(lines: Sequence[str], first: int) -> list[Line]:
    """Return the lines of the plans in ``lines``, each whole, without what stands around the plans.

    :raises UnreadablePlan: the first line of a plan is missing.
    """
    found: list[_Pieces] = []
    root = width = 0
    blank = False
    for at, raw in enumerate(lines):
        text = raw.strip()
        if not text:
            blank = True
            if found and found[-1].quote == "'":
                found[-1].add("")
            continue
        column = len(raw) - len(raw.lstrip())
        cut = False
        if not found:
            if _ARROW.match(text) and is_node(text):
                raise UnreadablePlan("the plan's first line is missing above this one; give the whole plan", first + at)
            if not is_root(text):
                continue
            kind = Kind.ROOT
            width = max(map(len, lines[at:]))
        else:
            last = found[-1]
            kind = _kind(text, at_edge=column <= root or blank)
            if kind is Kind.OTHER and not last.is_open and (begun := _begun(text, lines[at + 1 : at + 2])):
                kind, cut = begun, True
            if last.cut or _continues(last, kind, text, blank=blank):
                last.add(raw)
                last.cut = False
                continue
            if kind is Kind.OTHER:
                continue
        if kind is Kind.ROOT:
            root = column
        found.append(_Pieces(first + at, column, kind, cut))
        found[-1].add(raw)
        blank = False
    wrap = _wrap(found, width)
    return [Line(line.number, line.column, line.kind, _joined(line, wrap, root)) for line in found]


def _kind(text: str, *, at_edge: bool) -> Kind:
    """Return what a line is; one that starts a plan is not indented deeper than the plan before (``at_edge``)."""
    if _ARROW.match(text):
        return Kind.NODE
    if _KEY.match(text) or text.startswith("Trigger "):
        return Kind.PROPERTY
    if at_edge and is_root(text):
        return Kind.ROOT
    if not is_node(text):
        if _LABEL.fullmatch(text):
            return Kind.LABEL
        if TARGET.fullmatch(text):
            return Kind.PROPERTY
    return Kind.OTHER


def _begun(text: str, following: Sequence[str]) -> Kind | None:
    """Return what begins here, if ``text`` is the first part of a key or arrow whose rest is on the next line."""
    rest = following[0] if following else ""
    for whole in (text + rest.rstrip(), f"{text} {rest.strip()}"):
        if rest.strip() and _is_known_key(whole):
            return Kind.PROPERTY
        if rest.strip() and _ARROW.match(whole) and is_node(whole):
            return Kind.NODE
    return None


def _is_known_key(text: str) -> bool:
    match = _KEY.match(text)
    return match is not None and (match[1] in _KNOWN or match[1].startswith("Worker "))


def _continues(last: _Pieces, kind: Kind, text: str, *, blank: bool) -> bool:
    """Return whether ``text`` is the rest of the line before it."""
    if kind is Kind.NODE:
        return False
    if last.is_open:
        return not _is_known_key(text) and not (kind is Kind.ROOT and is_node(text))
    if blank or kind is Kind.LABEL:
        return False
    if last.kind in (Kind.ROOT, Kind.NODE):
        if kind is Kind.PROPERTY:
            return False
        # The costs end a node's line, unless times follow.
        return text.startswith(("(actual", "(never")) if last.is_measured else kind is Kind.OTHER or is_node(text)
    followers = properties.FOLLOWERS.get(last.key, ())
    if kind is Kind.PROPERTY and (match := _KEY.match(text)):
        starts = (name.removesuffix(match[1]).rstrip() for name in followers if name.endswith(match[1]))
        return any(last.raw[-1].rstrip().endswith(start) for start in starts)
    is_number = last.key in keys.NUMBERS and not followers
    return kind is Kind.OTHER and (not is_number or _DIGITS.fullmatch(text) is not None)


def _wrap(found: Sequence[_Pieces], width: int) -> _Wrap:
    """Return how lines were cut: if by a terminal, all at its width (of which spaces at the end may be lost)."""
    lengths = [len(raw) for line in found for raw in line.raw[:-1]]
    hard = bool(lengths) and max(lengths) == width and min(lengths) >= width - 2
    return _Wrap(width, hard=hard, words=any(not quoted for line in found for quoted in line.quoted[:-1]))


def _joined(line: _Pieces, wrap: _Wrap, root: int) -> str:
    text = line.raw[0]
    for before, raw, quoted in zip(line.raw, line.raw[1:], line.quoted, strict=False):
        lost = min(wrap.width - len(before), 2 if raw.startswith("(cost") else 1)
        if wrap.hard and (quoted or lost or raw.startswith(" ") or not _is_between_words(text, raw)):
            text += " " * lost + raw
        elif quoted and not (wrap.words and wrap.is_full(before, raw)):
            # A line break in a string; before what follows may stand the indentation that all lines have.
            text = f"{text.rstrip(' ')}\n{raw[root:] if not raw[:root].strip() else raw}"
        else:
            text = f"{text.rstrip()} {raw.strip()}"
    return text.strip()


def _is_between_words(before: str, after: str) -> bool:
    """Return whether a space was lost where a line was cut, as far as words and signs tell."""
    if before.endswith(")"):
        return after[:1].isalnum() or after[:1] in '("='
    return bool(_BEFORE_SPACE.search(before) and after[:1] != ":") or _AFTER_SPACE.match(after) is not None
