"""The folder of query files as captures keep it: what is written, merged, left alone and removed."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from dbtune.errors import BadFile, UsageError
from dbtune.workload import files
from dbtune.workload.fingerprint import fingerprint, normalised
from dbtune.workload.lexer import Unterminated
from dbtune.workload.period import union
from dbtune.workload.query import PROVENANCES, ParameterSet, Query
from dbtune.workload.shape import shape

MOST_SETS = 5
_MOST_ROUTES = 3


@dataclass(frozen=True, slots=True)
class Written:
    """How many files are new, have another content now, stayed as they were, and were removed."""

    new: int
    changed: int
    kept: int
    removed: int


def write(folder: Path, queries: Iterable[Query], *, merge: bool, source: str) -> Written:
    """Write each query of a capture to a file of ``folder``.

    With ``merge`` the capture adds to what is there: a query of the same fingerprint, or else the only one of the same
    shape, gets the calls, routes and parameter sets of both. Without, the files of the same ``source`` are replaced.
    Files that no capture wrote are never touched, nor written a second time under another name.

    :raises UsageError: the folder cannot be written.
    """
    present = _present(folder)
    old = {path: query for path, query in present.items() if query is not None and query.source is not None}
    if merge:
        base: Mapping[Path, Query] = old
    else:
        base = {path: query for path, query in old.items() if query.source == source}
    foreign = [query for path, query in present.items() if query is not None and path not in base]
    others = _Known(foreign)
    known = _Known(base.values())
    wanted: dict[Path, Query] = dict(base) if merge else {}
    taken = set(present) - set(base if not merge else ())
    left = set()
    for query in queries:
        if (other := others.find(query)) is not None:
            left.add(other.path)
            continue
        found = known.find(query) if merge else None
        if found is not None and found.path is not None:
            wanted[found.path] = merged(wanted[found.path], query)
            continue
        path = _free(folder, query.name, taken)
        taken.add(path)
        wanted[path] = query
    texts = {path: files.dump(query) for path, query in wanted.items() if query is not base.get(path)}
    stale = set(base) - set(wanted)
    changed, new = put(folder, texts, remove=stale)
    return Written(new=new, changed=changed, kept=len(wanted) - changed - new + len(left), removed=len(stale))


class _Known:
    """Queries to be found again by their fingerprint, or by a shape that no other of them has."""

    def __init__(self, queries: Iterable[Query]) -> None:
        self._by_fingerprint: dict[str, Query] = {}
        self._by_shape: defaultdict[str, list[Query]] = defaultdict(list)
        for query in queries:
            self._by_fingerprint.setdefault(_fingerprint(query), query)
            self._by_shape[shape(query.statement)].append(query)

    def find(self, query: Query) -> Query | None:
        if (found := self._by_fingerprint.get(_fingerprint(query))) is not None:
            return found
        alike = self._by_shape.get(shape(query.statement), ())
        return alike[0] if len(alike) == 1 else None


def _fingerprint(query: Query) -> str:
    try:
        return fingerprint(query.statement)
    except Unterminated:
        return query.statement


def merged(old: Query, new: Query) -> Query:
    """Return one query for two of the same fingerprint: under the old name, with what was seen of both.

    Calls are added up, ``mean_ms`` is that of all calls, the periods are those of both. The statement and its values
    are the old ones, and the new values too where the statements have the same parameters; but captured values are
    preferred to sampled ones.
    """
    chosen, other = (new, old) if _trust(new) < _trust(old) else (old, new)
    sets = chosen.sets
    if _trust(chosen) == _trust(other) and _same_parameters(chosen, other):
        sets = _united(chosen.sets, other.sets)
    return replace(
        chosen,
        name=old.name,
        path=old.path,
        sets=sets,
        types=chosen.types or (other.types if _same_parameters(chosen, other) else ()),
        route=_routes(old.route, new.route),
        calls=_sum(old.calls, new.calls),
        mean_ms=_mean(old, new),
        periods=union((*old.periods, *new.periods)),
        source=", ".join(sorted(set(chain.from_iterable((q.source or "").split(", ") for q in (old, new))) - {""})),
    )


def _trust(query: Query) -> int:
    """Return how good the values are, 0 is best; those of a query without any are worst."""
    return PROVENANCES.index(query.sets[0].provenance) if query.sets else len(PROVENANCES)


def _same_parameters(one: Query, other: Query) -> bool:
    return normalised(one.statement) == normalised(other.statement)


def _united(old: Sequence[ParameterSet], new: Sequence[ParameterSet]) -> tuple[ParameterSet, ...]:
    """Return the sets of both, up to :data:`MOST_SETS`, no values twice; a name that is taken gets a number."""
    united = list(old)
    for each in new:
        if len(united) >= MOST_SETS or any(each.values == known.values for known in united):
            continue
        names = {known.name for known in united}
        numbered = chain([each.name], (f"{each.name}-{number}" for number in count(2)))
        united.append(replace(each, name=next(name for name in numbered if name not in names)))
    return tuple(united)


def _routes(old: str | None, new: str | None) -> str | None:
    if old is None or new is None or old == new:
        return old or new
    shown: list[str] = []
    more = 0
    for text in (old, new):
        routes, _, rest = text.partition(" and ")
        shown += [route for route in routes.split(", ") if route not in shown]
        more = max(more, int(rest.split()[0])) if rest.endswith(" more") and rest.split()[0].isdecimal() else more
    more += max(len(shown) - _MOST_ROUTES, 0)
    return ", ".join(shown[:_MOST_ROUTES]) + (f" and {more} more" if more else "")


def _sum(old: int | None, new: int | None) -> int | None:
    return None if old is None and new is None else (old or 0) + (new or 0)


def _mean(old: Query, new: Query) -> float | None:
    """Return the mean of all calls whose durations are known."""
    timed = [(q.mean_ms, q.weight) for q in (old, new) if q.mean_ms is not None]
    weight = sum(calls for _, calls in timed)
    return float(f"{sum(ms * calls for ms, calls in timed) / weight:.6g}") if weight else None


def _present(folder: Path) -> dict[Path, Query | None]:
    """Return what each query file holds; None for one that cannot be used, which nobody but its author touches."""
    present: dict[Path, Query | None] = {}
    for path in sorted(folder.glob("*.sql")):
        try:
            present[path] = files.load(path)
        except BadFile:
            present[path] = None
    return present


def _free(folder: Path, name: str, taken: set[Path]) -> Path:
    paths = chain([folder / f"{name}.sql"], (folder / f"{name}-{number}.sql" for number in count(2)))
    return next(path for path in paths if path not in taken)


def put(folder: Path, texts: Mapping[Path, str], *, remove: Iterable[Path]) -> tuple[int, int]:
    """Write files, each all or nothing, where their content differs; return how many were changed and how many made.

    :raises UsageError: the folder cannot be written.
    """
    counts: Counter[str] = Counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            exists = path.exists()
            if exists and path.read_bytes() == text.encode():
                continue
            part = path.with_name(f".{path.name}.part-{os.getpid()}")
            try:
                part.write_bytes(text.encode())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            counts["changed" if exists else "new"] += 1
        for path in remove:
            path.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or folder}: {error.strerror}; choose another --query-dir"
        ) from None
    return counts["changed"], counts["new"]
