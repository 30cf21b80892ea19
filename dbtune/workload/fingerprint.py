"""Which statements are one query, what that query is called, and how its text is laid out for people.

An ORM renders ``IN ($1, $2, $3)`` with as many parameters as the list had members, and a bulk INSERT with as many
rows as a batch had: those are one query, sent in several lengths.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbtune.workload.lexer import Kind, Token, Unterminated, statements, tokens

if TYPE_CHECKING:
    from sqlglot import exp

WIDTH = 110
LONGEST_NAME = 48

_INDENT = "    "
_OPERATOR = frozenset("+-*/<>=~!@#%^&|`?:")  # manual, 4.1.3, and the colons of a cast
_DEPTH = {"(": 1, "[": 1, ")": -1, "]": -1}
_LISTS = frozenset({("in", "("), ("array", "["), ("values", "(")})
_PARAMETER = re.compile(r"\$[0-9]+")
_JOIN_KINDS = frozenset({"left", "right", "full", "inner", "cross"})
_BREAK_BEFORE = frozenset({"and", "or", "join"}) | _JOIN_KINDS

PREPARABLE = frozenset({"select", "insert", "update", "delete", "merge", "values", "with", "table"})
"""The words with which a statement begins that PREPARE takes."""


def normalised(statement: str) -> str:
    """Return ``statement`` without what does not matter: comments, space, capitals of unquoted words.

    Parameters are numbered in the order in which they appear. Hints (``/*+ … */``) matter and stay.

    :raises Unterminated: a string, comment or quoted identifier does not end.
    """
    return " ".join(_renumbered(_pieces(statement)))


def fingerprint(statement: str) -> str:
    """Return what all lengths of one query share: :func:`normalised`, each list of parameters cut to its first.

    Lists are those of ``IN (…)`` and ``ARRAY[…]``, and the rows of ``VALUES``. Constants stay distinct, but for a
    row's own number, with which SQLAlchemy keeps the rows of a bulk INSERT in order. The result is SQL again.

    :raises Unterminated: as :func:`normalised`.
    """
    return " ".join(_renumbered(_collapsed(_pieces(statement))))


def is_preparable(statement: str) -> bool:
    """Return whether ``statement`` is one statement of a kind that PREPARE takes."""
    try:
        found = statements(statement)
        word = next((t.text.lower() for t in tokens(statement) if _says_something(t) and t.text not in "(;"), "")
    except Unterminated:
        return False
    return len(found) == 1 and word in PREPARABLE


def _pieces(statement: str) -> list[str]:
    """Return the tokens that say something; the characters of an operator stay together."""
    pieces: list[str] = []
    end_of_operator = -1
    for token in tokens(statement):
        if not _says_something(token) or token.kind is Kind.SEMICOLON:
            continue
        text = token.text.lower() if token.kind is Kind.WORD else token.text
        if text in _OPERATOR:
            if token.start == end_of_operator:
                pieces[-1] += text
            else:
                pieces.append(text)
            end_of_operator = token.start + 1
        else:
            pieces.append(text)
    return pieces


def _says_something(token: Token) -> bool:
    return token.kind is not Kind.SPACE and not _is_remark(token)


def _is_remark(token: Token) -> bool:
    """Return whether it is a comment for people, not a hint for pg_hint_plan."""
    return token.kind is Kind.COMMENT and not token.text.startswith("/*+")


def _renumbered(pieces: Iterable[str]) -> Iterator[str]:
    numbers: dict[str, str] = {}
    for piece in pieces:
        yield numbers.setdefault(piece, f"${len(numbers) + 1}") if _PARAMETER.fullmatch(piece) else piece


def _collapsed(pieces: Sequence[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    while at < len(pieces):
        kept.append(pieces[at])
        at += 1
        if tuple(pieces[at - 1 : at + 1]) not in _LISTS:
            continue
        rows = pieces[at - 1] == "values"
        if not rows:
            kept.append(pieces[at])
            at += 1
        members, at = _members(pieces, at, rows=rows)
        for number, member in enumerate(_distinct(members)):
            kept.extend([","] if number else [])
            kept.extend(_collapsed(member))
    return kept


def _members(pieces: Sequence[str], at: int, *, rows: bool) -> tuple[list[list[str]], int]:
    """Return the members of the list that starts ``at``, and where it is over: at its closing bracket or last row."""
    members: list[list[str]] = [[]]
    depth = 0
    while at < len(pieces):
        piece = pieces[at]
        if depth == 0 and (piece in (")", "]") or (rows and piece not in ("(", ","))):
            break
        if depth == 0 and piece == ",":
            members.append([])
        else:
            depth += _DEPTH.get(piece, 0)
            members[-1].append(piece)
        at += 1
    return members, at


def _distinct(members: Sequence[list[str]]) -> Iterator[list[str]]:
    """Yield the members of a list but those that only bring other parameters than the member before them."""
    for index, member in enumerate(members):
        if index == 0 or not any(map(_PARAMETER.fullmatch, member)) or not _alike(members[index - 1], member, index):
            yield member


def _alike(before: Sequence[str], member: Sequence[str], index: int) -> bool:
    return len(before) == len(member) and all(
        b == m
        or (_PARAMETER.fullmatch(b) is not None and _PARAMETER.fullmatch(m) is not None)
        or (b == str(index - 1) and m == str(index))
        for b, m in zip(before, member, strict=True)
    )


@dataclass(slots=True)
class _Segment:
    """Text that stays on one line; ``gap`` is the space before it, ``depth`` the brackets around that space."""

    gap: str
    depth: int
    text: str


def layout(statement: str, width: int = WIDTH) -> str:
    """Return the same tokens without remarks, in lines of up to ``width`` characters where the tokens allow it.

    The statement's own line breaks stay; lines are cut after commas and before AND, OR and joins.

    :raises Unterminated: as :func:`normalised`.
    """
    text = "\n".join(line for segments in _lines(statement) for line in _filled(segments, width))
    return text.strip()


def _lines(statement: str) -> Iterator[list[_Segment]]:
    """Yield the segments of each line of the statement; the first gap of a line is its indentation."""
    line: list[_Segment] = []
    depth = 0
    last = ""
    for space, token in _spaced(statement):
        word = token.text.lower()
        may_break = last == "," or (word in _BREAK_BEFORE and last not in _JOIN_KINDS | {"outer"})
        if "\n" in space:
            yield line
            line = [_Segment(space[space.rindex("\n") + 1 :], depth, token.text)]
        elif may_break or not line:
            line.append(_Segment(space, depth, token.text))
        else:
            line[-1].text += space + token.text
        depth += _DEPTH.get(token.text, 0)
        last = word
    yield line


def _spaced(statement: str) -> Iterator[tuple[str, Token]]:
    """Yield each token that says something with the space before it; a remark counts as space."""
    space = ""
    for token in tokens(statement):
        if _says_something(token):
            yield space, token
            space = ""
        else:
            space += token.text if token.kind is Kind.SPACE else " "


def _filled(segments: list[_Segment], width: int) -> Iterator[str]:
    """Yield the segments as lines; what does not fit goes on the next line, indented."""
    while segments:
        count = _fitting(segments, width)
        yield segments[0].gap + segments[0].text + "".join(s.gap + s.text for s in segments[1:count])
        segments = segments[count:]
        if segments:
            segments[0].gap = _INDENT


def _fitting(segments: Sequence[_Segment], width: int) -> int:
    """Return how many segments to put on a line: all, or up to the last gap in the fewest brackets if not too early."""
    column = 0
    best = 0
    for index, segment in enumerate(segments):
        if index and (best == 0 or column <= width // 3 or segment.depth <= segments[best].depth):
            best = index
        column += len(segment.gap) + len(segment.text)
        if column > width and best:
            return best
    return len(segments)


def name(statement: str) -> str:
    """Return what to call a query: ``<verb>-<main table>-by-<columns compared with parameters>``.

    Such as ``select-respondent-by-email-address`` or ``insert-enrolment``: fit for a file, and at most
    :data:`LONGEST_NAME` long. A statement that cannot be understood is ``query-`` and its fingerprint's SHA-256.
    """
    known = fingerprint(statement)
    words = _words(known) if is_preparable(known) else []
    if not words:
        return f"query-{hashlib.sha256(known.encode()).hexdigest()[:8]}"
    chosen = "-".join(words[:2])[:LONGEST_NAME]
    for word in words[2:]:
        if len(chosen) + 1 + len(word) > LONGEST_NAME:
            break
        chosen += f"-{word}"
    return chosen.removesuffix("-by").strip("-")


def _words(statement: str) -> list[str]:
    """Return the words of a name; none when sqlglot does not know the statement."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(statement, dialect="postgres")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return []
    verbs = {
        "insert": exp.Insert,
        "update": exp.Update,
        "delete": exp.Delete,
        "merge": exp.Merge,
        "values": exp.Values,
        "select": exp.Query,
    }
    verb = next((verb for verb, kind in verbs.items() if isinstance(tree, kind)), None)
    if verb is None:
        return []
    columns = dict.fromkeys(filter(None, map(_slug, _compared(tree))))
    return [word for word in (verb, _slug(_main_table(tree)), "by" if columns else "", *columns) if word]


def _main_table(tree: exp.Expr) -> str:
    """Return the name of the table that is written, or read first; that of a CTE stands for the table it reads."""
    from sqlglot import exp

    ctes = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}
    place = tree.find(exp.From) if isinstance(tree, exp.Query) else tree.this
    while place is not None and (table := place.find(exp.Table)) is not None:
        if table.db or table.name not in ctes:
            return str(table.name)
        body = ctes.pop(table.name)
        place = body.find(exp.From) if isinstance(body, exp.Query) else body
    return ""


def _compared(tree: exp.Expr) -> Iterator[str]:
    """Yield the columns that WHERE clauses compare with parameters, with ``in`` where that is a list."""
    from sqlglot import exp

    for parameter in tree.find_all(exp.Parameter, bfs=False):
        if parameter.find_ancestor(exp.Where) is None:  # one of thousands in a bulk INSERT
            continue
        node: exp.Expr | None = parameter
        while node is not None and not isinstance(node, (exp.Connector, exp.Where, exp.Query)):
            if (column := node.find(exp.Column, bfs=False)) is not None:
                is_list = isinstance(node, exp.In) or node.find(exp.Any) is not None
                yield f"{column.name}_in" if is_list else column.name
                break
            node = node.parent


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
