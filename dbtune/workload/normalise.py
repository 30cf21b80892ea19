"""Constants of a statement's text become parameters, as if the application had sent them beside it.

psycopg2 writes values into the text, and so does whoever uses the simple protocol; the same query then arrives with
another text each time. One regular expression finds the constants, and what to do with each is decided once for each
shape (the text without its constants) and kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from dbtune.workload import lexer
from dbtune.workload.fingerprint import PREPARABLE
from dbtune.workload.lexer import Kind, Token
from dbtune.workload.templates import Found as Normalised
from dbtune.workload.templates import Templates

UNKNOWN = "unknown"
"""The type, in PREPARE's words, of a string constant: the server infers it."""

_SHAPES_KEPT = 5000
_LEARNT_AFTER = 16
_LONGEST_KEPT = 100_000

# Each alternative begins with the character that the leading set found, so that the search is for a set alone.
_FOUND = re.compile(
    r"""(
    ['"0-9$/\-](?:
        (?<=[0-9])(?<![\w\x80-\U0010ffff$.][0-9])(?:
            (?<=0)(?:[xX][0-9A-Fa-f_]++|[oO][0-7_]++|[bB][01_]++)
          | [0-9_]*+(?:\.(?!\.)[0-9_]*+)?(?:[eE][+-]?[0-9]++)?
        )(?![\w\x80-\U0010ffff])
      | (?<=\.[0-9])(?<![\w\x80-\U0010ffff\])".]\.[0-9])[0-9_]*+(?:[eE][+-]?[0-9]++)?(?![\w\x80-\U0010ffff])
      | (?<=')(?<=[eE]')(?<![\w\x80-\U0010ffff$][eE]')(?:[^'\\]|''|\\.)*+'
      | (?<=')[^']*+(?:''[^']*+)*+'
      | (?<=")[^"]*+(?:""[^"]*+)*+"
      | (?<=\$)(?<![\w\x80-\U0010ffff$]\$)
        (?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$
      | (?<=-)-[^\n\r]*+
      | (?<=/)\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/
    ))""",
    re.VERBOSE | re.DOTALL,
)
_STRING = "\ue000"
_NUMBER = "\ue001"
_BEGINS_NUMBER = frozenset("0123456789.")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|''", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

_TYPE_WORDS = (
    r"timestamp\s+with(?:out)?\s+time\s+zone|time\s+with(?:out)?\s+time\s+zone|double\s+precision"
    r"|date|time|timetz|timestamp|timestamptz|interval|bool|boolean|bytea|uuid|json|jsonb|inet|cidr|macaddr|text"
    r"|varchar|numeric|decimal|real|float4|float8|smallint|integer|bigint|int2|int4|int8|regclass|oid|point|tsquery"
    r"|tsvector|int4range|int8range|numrange|daterange|tsrange|tstzrange"
)
_TYPED = re.compile(rf"(?<![\w.$\"])({_TYPE_WORDS})(\s*)\Z", re.IGNORECASE)
_TYPED_PARAMETER = re.compile(rf"(?<![\w.$\":])({_TYPE_WORDS})\s*(\$[0-9]+)(?![\w$])", re.IGNORECASE)
_PARAMETER = re.compile(r"\$([0-9]+)")
_MINUS = re.compile(r"-\s*\Z")
_WORD_END = re.compile(r"[\w\x80-\U0010ffff$]\Z")
_INTERVAL_FIELDS = frozenset({"year", "month", "day", "hour", "minute", "second"})
_OTHER_PREFIX = re.compile(r"(?<![\w\x80-\U0010ffff$])[uU]&\Z")
_SPECIAL = frozenset("~!@#%^&|`?")  # manual, 4.1.3: an operator with one of these may end in a minus

# Words after which an expression begins; a string after another word belongs to that word (date '…', UESCAPE '…').
_BEFORE_EXPRESSION = frozenset(
    """all and any asymmetric between both by case distinct do else end escape fetch first following for from having
    ilike in intersect is leading like limit next not offset on or over placing preceding range return returning rows
    select set similar some symmetric then to trailing union using values when where zone""".split()
)
_ENDS_POSITIONS = frozenset(
    """except fetch for from group groups having intersect into limit offset on order range returning rows select
    union values where window""".split()
)
_AFTER_POSITION = frozenset({",", ")", ";", "", "asc", "desc", "nulls", "using"}) | _ENDS_POSITIONS
_WITH_LENGTH = frozenset(
    """bit bpchar char character dec decimal float interval nchar numeric time timestamp timestamptz timetz varbit
    varchar varying current_time current_timestamp localtime localtimestamp""".split()
)
_SETS_OF_POSITIONS = frozenset({"rollup", "cube", "sets"})


@dataclass(frozen=True, slots=True)
class _Step:
    """A constant becomes a parameter: ``cut`` characters before it go, ``sign`` joins its value, ``cast`` follows."""

    cut: int = 0
    sign: str = ""
    cast: str = ""


@dataclass(slots=True)
class _Shape:
    """What becomes of each constant, None where it stays, and the texts around those that stay.

    ``seen`` counts how often a statement of this shape was scanned.
    """

    steps: tuple[_Step | None, ...]
    texts: tuple[str, ...]
    seen: int = 0


def normalised(statement: str) -> tuple[str, tuple[str | None, ...]]:
    """Return ``statement`` with its constants as ``$1…$n``, and their values in PostgreSQL's text format.

    Comments go, but for hints. What no parameter can stand for stays: NULL, TRUE, FALSE, the length of a type, a
    position in ORDER BY or GROUP BY, bit strings, an interval with units; ``date '2019-01-30'`` is ``$1::date``.
    A statement that has parameters, or that PREPARE does not take, or that breaks off, comes back as it is.
    """
    found = scan(statement)
    return found.statement, found.values


def scan(statement: str) -> Normalised:
    """Return what :func:`normalised` does, and the types of the constants (manual, 4.1.2).

    These are integer, bigint or numeric; ``unknown`` for strings, whose type the server infers from their place.
    """
    if (known := _templates.find(statement)) is not None:
        return known
    split = _split(statement)
    shape = _shape(*split, first=1) if split is not None else None
    if split is None or shape is None:
        return Normalised(statement, (), ())
    texts, constants = split
    found = [_value(c, step.sign) for c, step in zip(constants, shape.steps, strict=True) if step is not None]
    result = Normalised(
        _filled(shape, constants), tuple(value for value, _ in found), tuple(type_ for _, type_ in found)
    )
    shape.seen += 1
    if shape.seen >= _LEARNT_AFTER and shape.seen.bit_count() == 1:  # then again, for constants of another kind
        signs = [None if step is None else step.sign for step in shape.steps]
        _templates.learn(statement, texts, constants, signs, result.statement)
    return result


def parameterised(statement: str) -> str:
    """Return ``statement`` with its constants as parameters too, numbered after those that it has."""
    split = _split(statement)
    if split is None:
        return statement
    numbers = [int(number) for text in split[0] for number in _PARAMETER.findall(text)]
    shape = _shape(*split, first=max(numbers, default=0) + 1)
    return statement if shape is None else _filled(shape, split[1])


def castable(statement: str) -> str:
    """Return ``statement`` with ``date $1`` as ``$1::date``: a parameter cannot follow a type's name.

    pg_stat_statements writes a typed constant so.
    """
    pieces = _FOUND.split(statement)
    del pieces[2::3]  # the tags of dollar quotes
    pieces[::2] = [_TYPED_PARAMETER.sub(r"\2::\1", text) for text in pieces[::2]]
    return "".join(pieces)


def _split(statement: str) -> tuple[list[str], list[str]] | None:
    """Return the texts around the constants, and the constants; None where the statement breaks off inside one."""
    pieces = _FOUND.split(statement)
    if any("'" in text or '"' in text or "/*" in text for text in pieces[::3]):
        return _split_without_comments(statement) if "/*" in statement else None
    texts = [pieces[0]]
    constants: list[str] = []
    for found, text in zip(pieces[1::3], pieces[3::3], strict=True):
        first = found[0]
        if first == "/" and "/*" in found[2:]:  # comments nest, and the expression took a part
            return _split_without_comments(statement)
        if first == "-" or (first == "/" and found[2] != "+"):
            texts[-1] += f" {text}" if texts[-1] and not texts[-1][-1].isspace() else text
            continue
        if first in '"/':
            texts[-1] += found + text
            continue
        last = texts[-1][-1:]
        if last == "." and first in _BEGINS_NUMBER:
            found, texts[-1] = f".{found}", texts[-1][:-1]
        elif last in ("e", "E") and first == "'" and _WORD_END.search(texts[-1], 0, len(texts[-1]) - 1) is None:
            found, texts[-1] = f"E{found}", texts[-1][:-1]
        constants.append(found)
        texts.append(text)
    return texts, constants


def _split_without_comments(statement: str) -> tuple[list[str], list[str]] | None:
    try:
        tokens = list(lexer.tokens(statement))
    except lexer.Unterminated:
        return None
    without = "".join(" " if t.kind is Kind.COMMENT else t.text for t in tokens)
    return _split(without) if without != statement else None


_shapes: dict[str, _Shape | None] = {}
_templates = Templates()


def _shape(texts: Sequence[str], constants: Sequence[str], *, first: int) -> _Shape | None:
    """Return what to do, the parameters numbered from ``first``; None: leave the statement as it is."""
    marks = [_NUMBER if constant[0] in _BEGINS_NUMBER else _STRING for constant in constants]
    key = f"{first}{''.join(chain.from_iterable(zip(texts, [*marks, ''], strict=True)))}"
    if key in _shapes:
        return _shapes[key]
    shape = _decided(texts, marks, first)
    if len(key) <= _LONGEST_KEPT:
        if len(_shapes) >= _SHAPES_KEPT:
            _shapes.clear()
        _shapes[key] = shape
    return shape


def _decided(texts: Sequence[str], marks: Sequence[str], first: int) -> _Shape | None:
    spaced = "".join(f"{text} {mark} " for text, mark in zip(texts, [*marks, ""], strict=True))
    try:
        tokens = [t for t in lexer.tokens(spaced) if t.kind not in (Kind.SPACE, Kind.COMMENT)]
    except lexer.Unterminated:
        return None
    words = [t.text.lower() if t.kind is Kind.WORD else t.text for t in tokens]
    has_parameters = first == 1 and any(t.kind is Kind.PARAMETER for t in tokens)
    if has_parameters or next((word for word in words if word != "("), "") not in PREPARABLE:
        return None
    words.append("")
    staying = _staying(words)
    places = [at for at, word in enumerate(words) if word in (_STRING, _NUMBER)]
    steps = [
        None if at in staying else _step(texts[index], texts[index + 1], tokens, words, at)
        for index, at in enumerate(places)
    ]
    for index, text in enumerate(texts[1:-1]):  # 'a' and 'b' on two lines are one constant
        if "\n" in text and text.isspace() and marks[index] == marks[index + 1] == _STRING:
            steps[index] = steps[index + 1] = None
    return _Shape(tuple(steps), _around(texts, steps, first))


def _around(texts: Sequence[str], steps: Sequence[_Step | None], first: int) -> tuple[str, ...]:
    around = [texts[0]]
    number = first
    for step, text in zip(steps, texts[1:], strict=True):
        if step is None:
            around.append(text)
            continue
        before = around[-1][: len(around[-1]) - step.cut]
        # LIKE'a' and 'a'b are two words each, and LIKE$1 and $1b one
        around[-1] = f"{before}{_gap(before[-1:])}${number}{step.cast}{_gap(text[:1])}{text}"
        number += 1
    return tuple(around)


def _gap(beside: str) -> str:
    return " " if _WORD_END.match(beside) else ""


def _filled(shape: _Shape, constants: Sequence[str]) -> str:
    if len(shape.texts) == 1:
        return shape.texts[0]
    kept = [constant for constant, step in zip(constants, shape.steps, strict=True) if step is None]
    return "".join(chain.from_iterable(zip(shape.texts, [*kept, ""], strict=True)))


def _staying(words: Sequence[str]) -> set[int]:
    """Return where numbers stand that are a position in a list of columns, or the length of a type."""
    staying: set[int] = set()
    lists = [""]  # for each open bracket, what its members are: "positions", "lengths", or nothing special
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        match word:
            case "(":
                lists.append(_members(words, at))
            case ")":
                if len(lists) > 1:
                    lists.pop()
            case "by" if before in ("order", "group"):
                lists[-1] = "positions"
            case _ if word == _NUMBER:
                is_position = (
                    lists[-1] == "positions" and before in ("by", ",", "(") and words[at + 1] in _AFTER_POSITION
                )
                if is_position or lists[-1] == "lengths":
                    staying.add(at)
            case _ if word in _ENDS_POSITIONS:
                lists[-1] = ""
    return staying


def _members(words: Sequence[str], at: int) -> str:
    """Return what the members of the list are that the bracket at ``at`` opens."""
    before = words[at - 1] if at else ""
    if before in _SETS_OF_POSITIONS or (before == "on" and words[at - 2] == "distinct"):
        return "positions"
    return "lengths" if before in _WITH_LENGTH or (at > 2 and words[at - 2] == ":") else ""


def _step(before: str, after: str, tokens: Sequence[Token], words: Sequence[str], at: int) -> _Step | None:
    """Return what to do with the constant at ``at``, between the texts ``before`` and ``after``."""
    if words[at] == _NUMBER:
        minus = _MINUS.search(before)
        return _Step(cut=len(minus[0]), sign="-") if minus and _is_negative(tokens, words, at) else _Step()
    previous = words[at - 1]
    if _OTHER_PREFIX.search(before) or previous in (")", "]", _STRING, _NUMBER):
        return None
    if previous == "(" and words[at - 2] == "extract" and words[at + 1] == "from":
        return None
    if typed := _TYPED.search(before):
        has_units = words[at + 1] in _INTERVAL_FIELDS
        return None if has_units else _Step(cut=len(typed[0]), cast=f"::{typed[1].lower()}")
    is_word = tokens[at - 1].kind in (Kind.WORD, Kind.QUOTED)
    return _Step() if not is_word or previous in _BEFORE_EXPRESSION else None


def _is_negative(tokens: Sequence[Token], words: Sequence[str], at: int) -> bool:
    """Return whether a minus belongs to the number: nothing to subtract from is before it, and no cast after it."""
    if at == 0 or words[at - 1] != "-" or words[at + 1] in (":", "["):
        return False
    if at == 1:
        return True
    left = tokens[at - 2]
    if left.kind is Kind.SYMBOL:
        is_one_operator = left.text in _SPECIAL and left.start + 1 == tokens[at - 1].start
        return left.text not in ")]" and not is_one_operator
    return left.kind is Kind.WORD and words[at - 2] in _BEFORE_EXPRESSION


def _value(constant: str, sign: str) -> tuple[str, str]:
    """Return the text and the type of a constant."""
    first = constant[0]
    if first == "'":
        return constant[1:-1].replace("''", "'"), UNKNOWN
    if first == "E":
        return _ESCAPE.sub(_unescaped, constant[2:-1]), UNKNOWN
    if first == "$":
        tag = constant.index("$", 1) + 1
        return constant[tag:-tag], UNKNOWN
    return _number(sign + constant.replace("_", ""))


def _number(text: str) -> tuple[str, str]:
    """Return a number as the server writes it, and its type."""
    if text.lstrip("-")[:2].lower() in ("0x", "0o", "0b"):
        text = str(int(text, 0))
    if not text.lstrip("-").isdecimal():
        return text, "numeric"
    if len(text) < 10:
        return text, "integer"
    value = int(text) if len(text) < 25 else 2**64
    return text, "integer" if -(2**31) <= value < 2**31 else "bigint" if -(2**63) <= value < 2**63 else "numeric"


def _unescaped(match: re.Match[str]) -> str:
    """Return the character that an escape sequence stands for (manual, 4.1.2.2)."""
    code = match[1]
    if code is None:
        return "'"
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
    elif code[0] in "01234567":
        number = int(code, 8)
    else:
        return _ESCAPED.get(code, code)
    return chr(number) if number < 0x110000 else "\ufffd"
