"""The keys that GIN takes out of values: how many there are, in which part of the rows each is, and how long.

Arrays and tsvector have statistics of their elements. Of other values those that pg_stats shows are taken apart as the
operator class would: jsonb_ops and jsonb_path_ops (jsonb_gin.c), gin_trgm_ops (trgm_op.c), to_tsvector. How many keys
there are that these do not show is told from how many of those shown are there once and twice (Chao, 1984).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dbtune.index.size import storage
from dbtune.index.size.expression import shown
from dbtune.index.size.texts import elements, text_bytes
from dbtune.snapshot.value import Statistics

_LONGEST_JSON_KEY = 125
"""Bytes of a string from which on jsonb_ops keeps a hash of eight digits (JGIN_MAXLENGTH)."""

_RARE = 3
"""Keys in fewer of the values shown are put together."""

_LOSSY = 7 / 1000
"""ANALYZE forgets elements that are rarer than 9 times the number of all, over a bucket of (target + 10) / this."""

_POSITION = 4.6
"""Bytes that pg_stats counts for a lexeme's positions: their number, a bit more than one of them, and padding."""

_WORD = re.compile(r"[^\W_]+")
_LEXEME = re.compile(r"[^\W_]+(?:[.-][^\W_]+)*")
_ENGLISH = frozenset(
    """a about above after again all am an and any are as at be because been before being below between both but by can
    did do does doing don down during each few for from further had has have having he her here hers him his how
    i if in into is it its just me more most my no nor not now of off on once only or other our out over own s
    same she should so some such t than that the their them then there these they this those through to too
    under until up very was we were what when where which while who whom why will with you your""".split()
)


@dataclass(frozen=True, slots=True)
class Keys:
    """``values`` keys of which each is in a ``share`` of the rows with a value, and takes ``width`` bytes."""

    values: float
    share: float
    width: int


@dataclass(frozen=True, slots=True)
class Found:
    """Groups of keys, and the relative error of their number."""

    groups: tuple[Keys, ...]
    error: float

    @property
    def per_row(self) -> float:
        """How many keys a row with a value has."""
        return sum(group.values * group.share for group in self.groups)


def of_elements(statistics: Statistics, rows: float, width_of: Callable[[str], int], *, lexemes: bool) -> Found | None:
    """Return the keys of an array or tsvector from most_common_elems; None where they are not there.

    What is not among them is told from how many elements a row has: it goes on as the frequencies of those listed fall.
    """
    listed = elements(statistics.most_common_elems)
    frequencies = statistics.most_common_elem_freqs[: len(listed)]
    if not listed or len(frequencies) < len(listed):
        return None
    groups = [Keys(1.0, f, width_of(text or "")) for text, f in zip(listed, frequencies, strict=True)]
    total = sum(frequencies)
    width = round(sum(g.share * g.width for g in groups) / total)
    if lexemes:
        length = sum(g.share * (g.width - 1) for g in groups) / total
        per_row = max(total, (statistics.avg_width - 8) / (4 + length + _POSITION))
    else:
        counted = statistics.elem_count_histogram
        per_row = max(total, counted[-1]) if counted else total
    left = per_row - total
    if left <= 0.01 * per_row:
        return Found(tuple(groups), 0.15)
    falling = sorted(frequencies, reverse=True)
    is_full = len(listed) >= 1000
    groups += _falling(falling, left, rows, width) if is_full else _forgotten(left, per_row, rows, width)
    return Found(tuple(groups), 0.3 if is_full else 0.5)


def _falling(frequencies: Sequence[float], left: float, rows: float, width: int) -> list[Keys]:
    """Return further keys whose frequencies fall with their rank as the listed ones' do in their second half."""
    number = len(frequencies)
    last, middle = frequencies[-1], frequencies[number // 2]
    slope = min(3.0, max(0.0, math.log(middle / last) / math.log(2)))
    groups: list[Keys] = []
    rank, least = float(number), 1 / max(1.0, rows)
    while left > 0 and len(groups) < 40:
        share = last * (1.25 * rank / number) ** -slope
        if share <= least:
            break
        values = min(rank / 2, left / share)
        groups.append(Keys(values, share, width))
        left -= values * share
        rank *= 1.5
    if left > 1e-9:
        groups.append(Keys(left * rows, least, width))
    return groups


def _forgotten(left: float, per_row: float, rows: float, width: int) -> list[Keys]:
    """Return keys of which all are rarer than what ANALYZE keeps, and their numbers of rows as Zipf's law has them."""
    most = max(2.0, 9 * per_row * rows * _LOSSY / 1010)
    share = math.log(most) / (1 - 1 / most) / max(1.0, rows)
    return [Keys(left / share, share, width)]


Sample = Iterable[tuple[Mapping[Any, tuple[str, int]], float]]
"""Keys of each value shown, with the class of keys that they are counted in and their bytes, and the value's weight."""


def of_samples(samples: Sample, rows: float) -> Found | None:
    """Return the keys of all values from those of the ones shown; None where there are too few."""
    times: dict[Any, int] = {}
    shares: dict[Any, float] = {}
    kinds: dict[Any, tuple[str, int]] = {}
    total, number = 0.0, 0
    for keys, weight in samples:
        total, number = total + weight, number + 1
        for key, kind in keys.items():
            times[key] = times.get(key, 0) + 1
            shares[key] = shares.get(key, 0.0) + weight
            kinds[key] = kind
    if number < 2 or total <= 0:
        return None
    groups: list[Keys] = []
    rare: dict[str, list[Any]] = {}
    for key in times:
        if times[key] >= _RARE or number < 2 * _RARE:
            groups.append(Keys(1.0, min(1.0, shares[key] / total), kinds[key][1]))
        else:
            rare.setdefault(kinds[key][0], []).append(key)
    unsure = 0.0
    for keys_ in rare.values():
        mass = sum(shares[key] for key in keys_) / total
        once = sum(1 for key in keys_ if times[key] == 1)
        twice = len(keys_) - once
        values = len(keys_) + (once * (once - 1) / (2 * (twice + 1)) if twice else math.inf)
        share = max(mass / values, 1 / max(1.0, rows))
        width = round(sum(shares[key] * kinds[key][1] for key in keys_) / sum(shares[key] for key in keys_))
        groups.append(Keys(mass / share, share, width))
        unsure += mass
    found = Found(tuple(groups), 0.0)
    return Found(found.groups, 0.25 + 0.35 * unsure / found.per_row if found.per_row > 0 else 0.25)


def trigrams(text: str) -> dict[str, tuple[str, int]]:
    """Return the trigrams of a text as pg_trgm takes them: of words in lower case, two blanks before and one after."""
    found = {}
    for word in _WORD.findall(text.lower()):
        padded = f"  {word} "
        for at in range(len(padded) - 2):
            found[padded[at : at + 3]] = ("trigram", 4)
    return found


def lexemes(text: str, configuration: str) -> dict[str, tuple[str, int]]:
    """Return about the lexemes of a text: words in lower case, without stop words and endings if it is English."""
    found = {}
    for word in _LEXEME.findall(text.lower()):
        if configuration != "simple":
            if word in _ENGLISH:
                continue
            word = re.sub(r"(?<=\w\w\w)(?:ing|ed|es|e|s|ly)\Z", "", word)
        kind = "word" if word.isalpha() else "number"
        found[word] = (kind, storage.packed_header(text_bytes(word)))
    return found


def documents(document: Any, *, paths: bool) -> dict[Any, tuple[str, int]]:
    """Return the keys of a jsonb document: with ``paths`` hashes of path and value, else keys and values apart."""
    found: dict[Any, tuple[str, int]] = {}
    _walk(document, "", found, paths)
    return found


def _walk(node: Any, path: str, found: dict[Any, tuple[str, int]], paths: bool) -> None:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if not paths:
                found["k", key] = ("name", _json_width(key))
            _walk(value, f"{path}/{key}", found, paths)
    elif isinstance(node, list):
        for value in node:
            if isinstance(value, str) and not paths:
                found["k", value] = (path, _json_width(value))
            else:
                _walk(value, path, found, paths)
    elif paths:
        found[path, json.dumps(node, default=str)] = (path, 4)
    elif isinstance(node, str):
        found["v", node] = (path, _json_width(node))
    elif isinstance(node, int | float | Decimal) and not isinstance(node, bool):
        found["n", str(node)] = (path, _json_width(str(node)))
    else:
        found["b", node] = ("constant", _json_width("t" if node else "f" if node is False else ""))


def _json_width(text: str) -> int:
    bytes_ = text_bytes(text)
    return storage.packed_header(1 + (bytes_ if bytes_ <= _LONGEST_JSON_KEY else 8))


def joined(statistics: Sequence[Statistics]) -> list[tuple[str, float]]:
    """Return texts as an expression over several columns may have: those that each column's statistics show, put
    together in turn."""
    columns = [shown(each) for each in statistics]
    if any(not texts for texts in columns) or not columns:
        return []
    most = max(map(len, columns))
    steps = [1, 37, 59, 71]  # another order for each column, so that what is first in one is not first in the next
    return [
        (
            " ".join(texts[(at * steps[number % 4]) % len(texts)][0] for number, texts in enumerate(columns)),
            columns[0][at % len(columns[0])][1],
        )
        for at in range(most)
    ]
