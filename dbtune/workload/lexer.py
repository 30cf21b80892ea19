"""PostgreSQL's lexical rules (manual, 4.1), as far as needed to find statements, parameters and comments exactly.

Regular expressions over whole SQL text are wrong sooner or later: ``$1`` stands in string constants, ``;`` in dollar
quotes, and block comments nest. This scanner follows the server's own (``scan.l``) with
``standard_conforming_strings = on``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a piece of SQL text is."""

    SPACE = "space"
    COMMENT = "comment"
    STRING = "string"
    QUOTED = "quoted identifier"
    WORD = "word"
    PARAMETER = "parameter"
    NUMBER = "number"
    SEMICOLON = "semicolon"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL text that starts at character ``start``, counted from 0."""

    kind: Kind
    text: str
    start: int


class Unterminated(ValueError):
    """A string, comment or quoted identifier that never ends; ``start`` is where it begins."""

    def __init__(self, what: str, start: int) -> None:
        self.what = what
        self.start = start
        super().__init__(f"unterminated {what}")


_PIECE = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<line_comment>--[^\n\r]*)
    | (?P<block_comment>/\*)
    | (?P<escape_string>[eE]')
    | (?P<string>(?:[bBxXnN]|[uU]&)?')
    | (?P<quoted>(?:[uU]&)?")
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<parameter>\$[0-9]+)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<number>(?:0[xX][0-9A-Fa-f_]+|0[oO][0-7_]+|0[bB][01_]+
        |(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?))
    | (?P<semicolon>;)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_STRING_END = re.compile(r"'(?!')|''")
_ESCAPE_STRING_END = re.compile(r"\\.|''|'", re.DOTALL)
_QUOTED_END = re.compile(r'""|"')

_KINDS = {
    "space": Kind.SPACE,
    "line_comment": Kind.COMMENT,
    "block_comment": Kind.COMMENT,
    "escape_string": Kind.STRING,
    "string": Kind.STRING,
    "dollar": Kind.STRING,
    "quoted": Kind.QUOTED,
    "parameter": Kind.PARAMETER,
    "word": Kind.WORD,
    "number": Kind.NUMBER,
    "semicolon": Kind.SEMICOLON,
    "symbol": Kind.SYMBOL,
}


def tokens(sql: str) -> Iterator[Token]:
    """Yield every piece of ``sql``, white space and comments too; their texts joined are ``sql`` again.

    :raises Unterminated: a string, comment or quoted identifier does not end.
    """
    position = 0
    while position < len(sql):
        match = _PIECE.match(sql, position)
        assert match is not None and match.lastgroup is not None  # the last alternative takes any character
        end = _end(sql, match.lastgroup, match)
        yield Token(_KINDS[match.lastgroup], sql[position:end], position)
        position = end


def _end(sql: str, group: str, match: re.Match[str]) -> int:
    """Return where the piece that ``match`` begins is over."""
    match group:
        case "block_comment":
            return _end_of_comment(sql, match.start())
        case "string":
            return _end_of_quotes(sql, match, _STRING_END, "'", "string constant")
        case "escape_string":
            return _end_of_quotes(sql, match, _ESCAPE_STRING_END, "'", "string constant")
        case "quoted":
            return _end_of_quotes(sql, match, _QUOTED_END, '"', "quoted identifier")
        case "dollar":
            close = sql.find(match.group(), match.end())
            if close < 0:
                raise Unterminated("dollar-quoted string", match.start())
            return close + len(match.group())
    return match.end()


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    raise Unterminated("comment", start)


def _end_of_quotes(sql: str, match: re.Match[str], ending: re.Pattern[str], quote: str, what: str) -> int:
    for mark in ending.finditer(sql, match.end()):
        if mark.group() == quote:
            return mark.end()
    raise Unterminated(what, match.start())


def statements(sql: str) -> list[str]:
    """Return the statements in ``sql``, without the semicolons and without what holds only space and comments.

    :raises Unterminated: as :func:`tokens`.
    """
    found: list[list[Token]] = [[]]
    for token in tokens(sql):
        if token.kind is Kind.SEMICOLON:
            found.append([])
        else:
            found[-1].append(token)
    return ["".join(t.text for t in piece).strip() for piece in found if any(map(_says_something, piece))]


def _says_something(token: Token) -> bool:
    return token.kind not in (Kind.SPACE, Kind.COMMENT)


def parameter_count(sql: str) -> int:
    """Return the highest ``$n`` in ``sql``: how many values an EXECUTE of it must give."""
    return max((int(t.text[1:]) for t in tokens(sql) if t.kind is Kind.PARAMETER), default=0)


def called_functions(sql: str) -> set[str]:
    """Return the names that stand before an opening parenthesis, in lower case unless quoted, without their schema."""
    called: set[str] = set()
    last: Token | None = None
    for token in filter(_says_something, tokens(sql)):
        if token.text == "(" and last is not None:
            if last.kind is Kind.WORD:
                called.add(last.text.lower())
            elif last.kind is Kind.QUOTED:
                called.add(last.text[1:-1].replace('""', '"'))
        last = token
    return called


def line_of(sql: str, position: int) -> int:
    """Return the line, counted from 1, of the character at ``position``."""
    return sql.count("\n", 0, position) + 1
