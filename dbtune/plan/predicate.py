"""Reading a plan's conditions: which columns they test, and whether an index on the column could serve the test.

PostgreSQL prints conditions fully parenthesised (``ruleutils.c``), so a scan of the tokens is enough: no grammar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbtune.workload.lexer import Kind, Token, tokens

_EQUALITY = frozenset({"=", "IS NULL", "= ANY"})
_RANGE = frozenset({"<", "<=", ">", ">=", "BETWEEN"})
_NEGATIVE = frozenset({"<>", "!~~", "!~~*", "!~", "!~*", "IS NOT NULL", "<> ALL"})
_PATTERN = frozenset({"~~", "~~*", "~", "~*", "^@"})
_CHARACTER_TYPES = frozenset({"text", "varchar", "bpchar", "character varying", "character", "name"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One of the conditions that AND joins.

    ``operand`` is the text that is tested, ``column`` its name where it is a plain column. ``obstacle`` says what keeps
    a plain B-tree index on the column from serving the test; None where nothing does. ``alternatives`` are the
    conditions that OR joins.
    """

    text: str
    operand: str | None
    column: str | None
    operator: str | None
    obstacle: str | None
    alternatives: tuple[Term, ...] = ()

    @property
    def is_pattern(self) -> bool:
        """Whether it is a LIKE, ILIKE or regular expression without a constant beginning, or an OR of such."""
        if self.alternatives:
            return all(term.is_pattern for term in self.alternatives)
        return self.operator in _PATTERN and self.obstacle is not None

    @property
    def is_equality(self) -> bool:
        """Whether the term fixes the column to a value (or a few)."""
        return self.operator in _EQUALITY

    @property
    def indexable(self) -> bool:
        """Whether a plain B-tree index on the column could serve the test."""
        return self.column is not None and self.obstacle is None


def terms(condition: str) -> list[Term]:
    """Return the terms of a Filter, Index Cond or Join Filter, in their order."""
    pieces = [t for t in tokens(condition) if t.kind not in (Kind.SPACE, Kind.COMMENT)]
    return [_term(piece) for piece in _conjuncts(pieces)]


def indexable_columns(condition: str) -> list[str]:
    """Return the columns of ``condition`` that a B-tree index could lead with, equality before range, no repeats."""
    usable = [t for t in terms(condition) if t.indexable]
    ordered = [t for t in usable if t.is_equality] + [t for t in usable if not t.is_equality]
    return list(dict.fromkeys(t.column for t in ordered if t.column is not None))


def index_elements(condition: str) -> list[str]:
    """Return :func:`indexable_columns` as CREATE INDEX takes them.

    LIKE needs ``text_pattern_ops`` unless the column's collation is C (manual, 11.10).
    """
    patterns = {t.column for t in terms(condition) if t.operator == "~~"}
    return [f"{column} text_pattern_ops" if column in patterns else column for column in indexable_columns(condition)]


def _conjuncts(pieces: list[Token]) -> list[list[Token]]:
    pieces = _unwrapped(pieces)
    parts = _split(pieces, "AND")
    if len(parts) == 1:
        return parts
    return [piece for part in parts for piece in _conjuncts(part)]


def _unwrapped(pieces: list[Token]) -> list[Token]:
    """Return ``pieces`` without parentheses that enclose all of it."""
    while len(pieces) > 1 and pieces[0].text == "(" and _closing(pieces, 0) == len(pieces) - 1:
        pieces = pieces[1:-1]
    return pieces


def _closing(pieces: Sequence[Token], start: int) -> int:
    depth = 0
    for at in range(start, len(pieces)):
        depth += {"(": 1, ")": -1}.get(pieces[at].text, 0)
        if depth == 0:
            return at
    return len(pieces)


def _split(pieces: list[Token], word: str) -> list[list[Token]]:
    """Split at ``word`` outside parentheses; the AND of a BETWEEN never shows, it is printed as two comparisons."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for piece in pieces:
        depth += {"(": 1, ")": -1}.get(piece.text, 0)
        if depth == 0 and piece.kind is Kind.WORD and piece.text == word:
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts


def _term(pieces: list[Token]) -> Term:
    pieces = _unwrapped(pieces)
    text = _text(pieces)
    branches = _split(pieces, "OR")
    if len(branches) > 1:
        return Term(
            text=text,
            operand=None,
            column=None,
            operator="OR",
            obstacle="OR of several conditions",
            alternatives=tuple(_term(branch) for branch in branches),
        )
    if pieces and pieces[0].text == "NOT":
        column = _column(pieces[1:])
        negated = None if column else "negated condition"
        return Term(text=text, operand=column, column=column, operator="NOT", obstacle=negated)
    left, operator, right = _comparison(pieces)
    if operator is None:
        column = _column(pieces)  # a boolean column stands alone
        alone = None if column else "not a comparison"
        return Term(text=text, operand=_text(_bare(pieces)), column=column, operator=None, obstacle=alone)
    column, obstacle = _operand(left)
    if column is None and obstacle is None:  # 5 > a is printed as it was written
        column, obstacle = _operand(right)
        left, right = right, left
    if column is not None and _column(right) is not None and _qualifier(left) == _qualifier(right):
        obstacle = "comparison of two columns of the same table"
    if obstacle is None or operator in _PATTERN:
        obstacle = _obstacle(operator, right) or obstacle
    return Term(text=text, operand=_text(_bare(left)), column=column, operator=operator, obstacle=obstacle)


def _comparison(pieces: list[Token]) -> tuple[list[Token], str | None, list[Token]]:
    """Return what stands left of the outermost operator, the operator, and what stands right of it."""
    depth = 0
    for at, piece in enumerate(pieces):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(piece.text, 0)
        if depth or at == 0:
            continue
        if piece.kind is Kind.WORD and piece.text == "IS":
            return pieces[:at], " ".join(p.text for p in pieces[at:]), []
        if piece.kind is Kind.SYMBOL and piece.text in "<>=~!@#%^&|?*+-/":
            end = at
            while end < len(pieces) and pieces[end].kind is Kind.SYMBOL and pieces[end].text in "<>=~!@#%^&|?*+-/":
                end += 1
            operator = "".join(p.text for p in pieces[at:end])
            if end < len(pieces) and pieces[end].text in ("ANY", "ALL"):
                operator += f" {pieces[end].text}"
                end += 1
            return pieces[:at], operator, pieces[end:]
    return pieces, None, []


def _operand(pieces: list[Token]) -> tuple[str | None, str | None]:
    """Return the column that an operand is, or what is done to the column; two Nones for a constant or parameter."""
    pieces = _unwrapped(pieces)
    if column := _column(pieces):
        return column, None
    bare, cast = _without_cast(pieces)
    if cast is not None:
        column, obstacle = _operand(bare)
        if column and obstacle is None and cast not in _CHARACTER_TYPES:
            return column, f"column cast to {cast}"
        return column, obstacle
    if not any(p.kind in (Kind.WORD, Kind.QUOTED) for p in pieces) or pieces[0].kind is Kind.STRING:
        return None, None
    if pieces[0].kind is Kind.WORD and len(pieces) > 1 and pieces[1].text == "(":
        return None, f"function {pieces[0].text}() over the column"
    if any(p.text == "-" for p in pieces) and any(p.text == ">" for p in pieces):
        return None, "expression over a JSON column"
    return None, "expression over the column"


def _without_cast(pieces: list[Token]) -> tuple[list[Token], str | None]:
    """Split ``(x)::type`` into x and type; no type where the outermost operation is not a cast."""
    depth = 0
    for at in range(len(pieces) - 1, 0, -1):
        depth += {")": 1, "(": -1}.get(pieces[at].text, 0)
        if depth == 0 and pieces[at].text == ":" and pieces[at - 1].text == ":":
            rest = pieces[at + 1 :]
            if all(p.kind in (Kind.WORD, Kind.QUOTED, Kind.NUMBER) or p.text in "()[]." for p in rest):
                return pieces[: at - 1], " ".join(p.text for p in rest if p.kind is Kind.WORD)
            return pieces, None
    return pieces, None


def _column(pieces: list[Token]) -> str | None:
    """Return the name if ``pieces`` are a column, with or without its relation's name."""
    pieces = _unwrapped(pieces)
    names = [p for p in pieces if p.kind in (Kind.WORD, Kind.QUOTED)]
    shape = "".join("n" if p in names else p.text for p in pieces)
    if shape not in ("n", "n.n") or pieces[-1].text.lower() in ("true", "false", "null"):
        return None
    last = pieces[-1]
    return last.text[1:-1].replace('""', '"') if last.kind is Kind.QUOTED else last.text


def _bare(pieces: list[Token]) -> list[Token]:
    """Return an operand as CREATE INDEX takes it: column names without their relation's."""
    pieces = _unwrapped(pieces)
    names = (Kind.WORD, Kind.QUOTED)
    kept: list[Token] = []
    at = left_out = 0
    while at < len(pieces):
        follows = [p.text for p in pieces[at + 1 : at + 4]]
        is_qualifier = pieces[at].kind in names and follows[:1] == ["."] and follows[2:3] != ["("]
        if is_qualifier and pieces[at + 2].kind in names:
            left_out += pieces[at + 2].start - pieces[at].start
            at += 2
            continue
        kept.append(Token(pieces[at].kind, pieces[at].text, pieces[at].start - left_out))
        at += 1
    return kept


def _qualifier(pieces: list[Token]) -> str | None:
    """Return the relation's name in front of a column, None where there is none."""
    pieces = _unwrapped(pieces)
    return pieces[0].text if len(pieces) == 3 else None


def _obstacle(operator: str, right: list[Token]) -> str | None:
    if operator in _EQUALITY or operator in _RANGE:
        return None
    if operator in _NEGATIVE:
        return f"{operator} excludes a little and keeps the rest"
    if operator in _PATTERN:
        pattern = next((p.text for p in right if p.kind is Kind.STRING), "")
        if operator == "~~" and len(pattern) > 2 and pattern[1] not in "%_":
            return None
        return "pattern match that does not begin with a constant"
    return f"operator {operator} is not one of B-tree"


def _text(pieces: Sequence[Token]) -> str:
    """Return the pieces as text again, with single spaces where there was any."""
    parts: list[str] = []
    end = None
    for piece in pieces:
        if end is not None and piece.start > end:
            parts.append(" ")
        parts.append(piece.text)
        end = piece.start + len(piece.text)
    return "".join(parts)
