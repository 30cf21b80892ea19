"""Small snapshots made by hand, and what is found in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from dbtune.index.candidates import Candidate, Candidates, Limits, candidates
from dbtune.snapshot.value import (
    Column,
    Constraint,
    ExistingIndex,
    SchemaObject,
    Snapshot,
    Statistics,
    Table,
)
from dbtune.workload.query import ParameterSet, Query

LENGTHS = {"integer": 4, "bigint": 8, "boolean": 1, "uuid": 16, "date": 4, "timestamp with time zone": 8}
ROWS = 100_000.0


def column(
    name: str,
    type_: str = "integer",
    *,
    distinct: float = -0.1,
    nulls: float = 0.0,
    common: Sequence[tuple[str, float]] = (),
    correlation: float = 0.1,
    width: int | None = None,
    bounds: str | None = None,
    known: bool = True,
    collation: str | None = None,
) -> Column:
    """Return a column with statistics; ``common`` are values with their frequencies."""
    length = LENGTHS.get(type_, 8 if type_.startswith("timestamp") else -1)
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value, _ in common)
    statistics = Statistics(
        null_frac=nulls,
        avg_width=width if width is not None else (length if length > 0 else 20),
        n_distinct=distinct,
        most_common_vals="{" + ",".join(f'"{value}"' for value in quoted) + "}" if common else None,
        most_common_freqs=tuple(frequency for _, frequency in common),
        correlation=correlation,
        histogram_bounds=bounds,
    )
    return Column(
        name=name,
        number=1,
        type=type_,
        length=length,
        align="i",
        collation=collation,
        statistics=statistics if known else None,
        inherited=statistics if known else None,
    )


def table(
    name: str,
    *columns: Column | str,
    schema: str = "public",
    pages: int = 2_000,
    rows: float = ROWS,
    kind: str = "r",
    persistence: str = "p",
    indexes: Iterable[ExistingIndex] = (),
    constraints: Iterable[Constraint] = (),
    inherits: Iterable[tuple[str, str]] = (),
    bound: str | None = None,
) -> Table:
    """Return a table; a column may be told by its name alone (an integer)."""
    made = [column(each) if isinstance(each, str) else each for each in columns]
    return Table(
        schema=schema,
        name=name,
        kind=kind,
        persistence=persistence,
        columns=tuple(replace(each, number=at) for at, each in enumerate(made, start=1)),
        pages=pages,
        relpages=pages,
        reltuples=rows,
        indexes=tuple(indexes),
        constraints=tuple(constraints),
        inherits=tuple(inherits),
        partition_bound=bound,
    )


def index(
    name: str,
    *keys: str,
    unique: bool = False,
    primary: bool = False,
    method: str = "btree",
    predicate: str | None = None,
    include: tuple[str, ...] = (),
    options: tuple[int, ...] = (),
    opclasses: tuple[str, ...] = (),
    valid: bool = True,
) -> ExistingIndex:
    """Return an index that is there; a key in parentheses is an expression."""
    return ExistingIndex(
        schema="public",
        name=name,
        definition="",
        method=method,
        keys=keys,
        key_columns=tuple(None if "(" in key else key.strip('"') for key in keys),
        include=include,
        opclasses=opclasses,
        options=options,
        predicate=predicate,
        is_unique=unique or primary,
        is_primary=primary,
        is_valid=valid,
        constraint="p" if primary else None,
    )


def snapshot(*tables: Table, objects: Iterable[SchemaObject] = (), views: Iterable[tuple[str, str]] = ()) -> Snapshot:
    """Return a snapshot of a server with ICU's collations, on which LIKE needs an operator class."""
    late = (SchemaObject(kind="view", schema="public", name=name, definition=text) for name, text in views)
    return Snapshot(
        server_version_num=180_000,
        server_version="18",
        database="test",
        taken_at=datetime(2026, 1, 1, tzinfo=UTC),
        collate="en_GB.UTF-8",
        ctype="en_GB.UTF-8",
        locale_provider="i",
        objects=tuple(objects),
        tables=tables,
        late_objects=tuple(late),
    )


def query(
    statement: str, name: str = "q", sets: Sequence[Sequence[str | None]] = (), calls: int | None = None
) -> Query:
    """Return a query with parameter sets."""
    return Query(
        name=name,
        statement=statement,
        sets=tuple(ParameterSet(name=f"s{at}", values=tuple(values)) for at, values in enumerate(sets)),
        calls=calls,
    )


def found(statement: str | Sequence[Query], database: Snapshot, **options: object) -> Candidates:
    """Return what is found for a statement or some queries."""
    queries = [query(statement)] if isinstance(statement, str) else statement
    width = options.pop("max_width", None)
    assert width is None or isinstance(width, int)
    limits = Limits(**options) if options else None  # type: ignore[arg-type]
    return candidates(queries, database, max_width=width, limits=limits)


def targets(result: Candidates) -> list[str]:
    """Return what the candidates index, without the schema ``public``."""
    return [each.index.target.removeprefix("public.") for each in result.candidates]


def candidate(result: Candidates, target: str) -> Candidate:
    """Return the candidate of that target."""
    return next(each for each in result.candidates if each.index.target.removeprefix("public.") == target)
