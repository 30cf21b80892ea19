"""Statements that differ in their constants only, recognised by one expression made from an earlier one.

To find the constants of a statement every character is looked at; a statement like one that came before needs only be
compared. An expression is made for what comes often. It is exact: between the same texts the same kinds of constants
are what the scan would find.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_BEGINNING = 32
_BUCKET = 8
_KEPT = 500
_MOST_CONSTANTS = 60
_LONGEST = 20_000

_STRING = re.compile(r"'[^']*+(?:''[^']*+)*+'")
_INTEGER = re.compile(r"[0-9]{1,9}")
_DECIMAL = re.compile(r"[0-9]{1,15}\.[0-9]{1,15}")
_KINDS = (
    (_STRING, r"'([^']*+(?:''[^']*+)*+)'", "unknown"),
    (_INTEGER, r"([0-9]{1,9}+)", "integer"),
    (_DECIMAL, r"([0-9]{1,15}+\.[0-9]{1,15}+)", "numeric"),
)
_GOES_ON = re.compile(r"[\w.$\x80-\U0010ffff]")


class Found(NamedTuple):
    """A statement with ``$1…$n`` instead of its constants, their values, and the types that they have by themselves."""

    statement: str
    values: tuple[str | None, ...]
    types: tuple[str, ...]


class _Template(NamedTuple):
    expression: re.Pattern[str]
    statement: str
    types: tuple[str, ...]
    signs: tuple[str, ...] | None


class Templates:
    """Expressions for statements that came before, by how they begin."""

    def __init__(self) -> None:
        self._buckets: dict[str, list[_Template]] = {}
        self._count = 0

    def find(self, statement: str) -> Found | None:
        """Return what a scan of the statement would; None if it is not like one that was learnt."""
        bucket = self._buckets.get(statement[:_BEGINNING])
        if bucket is None:
            return None
        for at, template in enumerate(bucket):
            if (match := template.expression.match(statement)) is not None:
                if at:
                    bucket.insert(0, bucket.pop(at))
                values = match.groups()
                if "''" in statement:
                    values = tuple(value.replace("''", "'") for value in values)
                if template.signs is not None:
                    values = tuple(map(str.__add__, template.signs, values))
                return Found(template.statement, values, template.types)
        return None

    def learn(
        self, given: str, texts: Sequence[str], constants: Sequence[str], signs: Sequence[str | None], statement: str
    ) -> None:
        """Recognise statements like ``given`` from now on: its constants, and the texts around them.

        A sign of None: that constant stays, so it must be the same. Nothing is learnt where the texts and constants
        are not all of ``given`` (there are comments), or where a constant is of an uncommon kind.
        """
        if not signs or len(signs) > _MOST_CONSTANTS or len(given) > _LONGEST or "$" in given:
            return
        pieces = [re.escape(texts[0])]
        types: list[str] = []
        for constant, sign, text in zip(constants, signs, texts[1:], strict=True):
            if sign is None:
                pieces.append(re.escape(constant))
            else:
                expression, type_ = _kind(constant)
                if not expression or (type_ != "unknown" and _GOES_ON.match(text)):
                    return
                pieces.append(expression)
                types.append(type_)
            pieces.append(re.escape(text))
        whole = texts[0] + "".join(constant + text for constant, text in zip(constants, texts[1:], strict=True))
        if whole != given or not all(texts[1:-1]):
            return
        if self._count >= _KEPT:
            self._buckets.clear()
            self._count = 0
        kept = [sign for sign in signs if sign is not None]
        template = _Template(
            re.compile("".join(pieces) + r"\Z"), statement, tuple(types), tuple(kept) if any(kept) else None
        )
        bucket = self._buckets.setdefault(given[:_BEGINNING], [])
        bucket.insert(0, template)
        self._count += 1
        if len(bucket) > _BUCKET:
            bucket.pop()
            self._count -= 1


def _kind(constant: str) -> tuple[str, str]:
    """Return the expression for constants of the same kind, and their type; nothing for an uncommon kind."""
    return next(((expression, type_) for known, expression, type_ in _KINDS if known.fullmatch(constant)), ("", ""))
