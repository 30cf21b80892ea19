"""Query files: one statement each, led by a comment header in YAML.

    -- dbtune: 1
    -- route: GET /respondents/email
    -- calls: 40
    -- mean_ms: 2.1
    -- source: sqlalchemy
    -- period: 2026-01-31T10:00:00Z/2026-01-31T11:00:00Z
    -- types: [text]
    -- sets:
    --   frequent: ['ada.king@example.com']
    --   absent: ['nobody@example.com']
    SELECT id FROM partysvc.respondent WHERE lower(email_address) = $1

Every key is optional, and so is the header: a plain ``.sql`` file is a query without parameters. A value is a string
in PostgreSQL's text format, a number, true, false, or null. Other leading comments are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dbtune.errors import BadFile, UsageError
from dbtune.workload import lexer
from dbtune.workload import period as periods
from dbtune.workload.period import Period
from dbtune.workload.query import PROVENANCES, ParameterSet, Query, Workload

FORMAT_VERSION = 1

T = TypeVar("T", int, float)
_MARK = re.compile(r"--\s*dbtune:")
_KEYS = {"dbtune", "route", "calls", "mean_ms", "source", "period", "types", "values", "sets"}
_TYPE = re.compile(r'[\w" .()\[\],]+\Z')


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder holds: the queries that can be used, and what is wrong with the other files."""

    workload: Workload
    problems: tuple[BadFile, ...]


def load_folder(folder: Path) -> Loaded:
    """Read every ``*.sql`` file of ``folder``, in order of name; one bad file does not spoil the rest.

    :raises UsageError: there is no such folder, or it holds no ``.sql`` file.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder of query files; capture some, or name one with --query-dir")
    paths = sorted(folder.glob("*.sql"))
    if not paths:
        raise UsageError(f"{folder}: holds no .sql file; capture some, or name another folder with --query-dir")
    queries: list[Query] = []
    problems: list[BadFile] = []
    for path in paths:
        try:
            queries.append(load(path))
        except BadFile as problem:
            problems.append(problem)
    return Loaded(Workload(tuple(queries)), tuple(problems))


def load(path: Path) -> Query:
    """Read one query file.

    :raises BadFile: it cannot be read, or does not hold exactly one statement and a sound header.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Query:
    """Return the query in ``text``; ``path`` gives its name and stands in messages.

    :raises BadFile: as :func:`load`.
    """
    if "\0" in text:
        raise BadFile(path, "holds a NUL character, which no SQL text can", line=lexer.line_of(text, text.index("\0")))
    header, body, line = _split(text)
    fields = _header(header, path)
    statement, line = _one_statement(body, path, line)
    count = lexer.parameter_count(statement)
    types = _types(fields, path, count)
    return Query(
        name=path.stem,
        statement=statement,
        types=types,
        sets=_sets(fields, path, count),
        route=_text(fields, "route", path),
        calls=_number(fields, "calls", path, int),
        mean_ms=_number(fields, "mean_ms", path, float),
        source=_text(fields, "source", path),
        periods=_periods(fields, path),
        path=path,
        line=line,
    )


def dump(query: Query) -> str:
    """Return the file text that :func:`parse` reads back to an equal query (but for path and line)."""
    import yaml

    fields: dict[str, Any] = {"dbtune": FORMAT_VERSION}
    for key in ("route", "calls", "mean_ms", "source"):
        if (value := getattr(query, key)) is not None:
            fields[key] = value
    if query.periods:
        written = list(map(str, query.periods))
        fields["period"] = written if len(written) > 1 else written[0]
    if query.types:
        fields["types"] = list(query.types)
    header = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=2**30)
    if query.sets:
        if (provenance := query.sets[0].provenance) != PROVENANCES[0]:
            header += f"values: {provenance}\n"
        header += "sets:\n"
        for chosen in query.sets:
            name = yaml.safe_dump({chosen.name: list(chosen.values)}, default_flow_style=None, width=2**30)
            header += "".join(f"  {line}\n" for line in name.splitlines())
    return "".join(f"-- {line}\n" for line in header.splitlines()) + query.statement + "\n"


def _split(text: str) -> tuple[list[str], str, int]:
    """Return the header's YAML lines, the rest of the text, and the line on which the rest starts."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or not _MARK.match(lines[0]):
        return [], "".join(lines), 1
    end = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return [line[2:].removeprefix(" ") for line in lines[:end]], "".join(lines[end:]), end + 1


def _header(lines: list[str], path: Path) -> Mapping[str, Any]:
    if not lines:
        return {}
    import yaml

    try:
        fields = yaml.safe_load("".join(lines))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "cannot be read"
        raise BadFile(
            path, f"header is not YAML: {problem}", line=min(mark.line + 1, len(lines)) if mark else 1
        ) from None
    except ValueError as error:  # such as a date of the 31st of February
        raise BadFile(path, f"header is not YAML: {error}", line=1) from None
    if fields["dbtune"] != FORMAT_VERSION:
        raise BadFile(path, f"header has format {fields['dbtune']!r}; this dbtune reads {FORMAT_VERSION}", line=1)
    if unknown := [key for key in fields if key not in _KEYS]:
        raise BadFile(path, f"header has an unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}", line=1)
    return dict(fields)


def _one_statement(body: str, path: Path, first_line: int) -> tuple[str, int]:
    """Return the only statement in ``body`` and its line.

    A second statement would run outside PREPARE, and so outside the read-only transaction's protection.
    """
    try:
        found = lexer.statements(body)
    except lexer.Unterminated as error:
        raise BadFile(path, str(error), line=first_line + lexer.line_of(body, error.start) - 1) from None
    if not found:
        raise BadFile(path, "holds no statement")
    start = first_line + lexer.line_of(body, body.index(found[0])) - 1
    if len(found) > 1:
        second = body.index(found[1], body.index(found[0]) + len(found[0]))
        raise BadFile(
            path,
            f"holds {len(found)} statements; put each in a file of its own",
            line=first_line + lexer.line_of(body, second) - 1,
        )
    return found[0], start


def _types(fields: Mapping[str, Any], path: Path, count: int) -> tuple[str, ...]:
    types = fields.get("types") or []
    if not isinstance(types, list) or not all(isinstance(t, str) and _TYPE.match(t) for t in types):
        raise BadFile(path, "types must be a list of type names, such as [uuid, integer]", line=1)
    if types and len(types) != count:
        raise BadFile(path, f"types names {len(types)}, but the statement has {count} parameters", line=1)
    return tuple(types)


def _sets(fields: Mapping[str, Any], path: Path, count: int) -> tuple[ParameterSet, ...]:
    sets = fields.get("sets") or {}
    if not isinstance(sets, dict) or not all(isinstance(values, list) for values in sets.values()):
        raise BadFile(path, "sets must map a name to a list of values, such as frequent: ['a', 1]", line=1)
    for name, values in sets.items():
        if len(values) != count:
            wanted = f"{_plural(count, 'parameter')} ($1…${count})" if count else "no parameter"
            given = _plural(len(values), "value")
            raise BadFile(path, f"parameter set {name!r} has {given}, but the statement has {wanted}", line=1)
    provenance = fields.get("values") or PROVENANCES[0]
    if provenance not in PROVENANCES:
        raise BadFile(path, f"values must be {', '.join(PROVENANCES)}, not {provenance!r}", line=1)
    return tuple(
        ParameterSet(name=str(n), values=tuple(_value(value, path, n) for value in values), provenance=provenance)
        for n, values in sets.items()
    )


def _value(value: object, path: Path, name: object) -> str | None:
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
    # YAML reads 2019-01-30 as a date; its ISO form is what PostgreSQL reads too
    if hasattr(value, "isoformat"):
        return str(value)
    raise BadFile(path, f"parameter set {name!r} holds {value!r}; write it as a quoted string", line=1)


def _periods(fields: Mapping[str, Any], path: Path) -> tuple[Period, ...]:
    written = fields.get("period")
    if written is None:
        return ()
    try:
        return periods.union(map(periods.parse, written if isinstance(written, list) else [written]))
    except (ValueError, TypeError, AttributeError):
        raise BadFile(
            path, f"period must be FROM/TO, such as 2026-01-31T10:00:00Z/2026-01-31T11:00:00Z, not {written!r}", line=1
        ) from None


def _text(fields: Mapping[str, Any], key: str, path: Path) -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    raise BadFile(path, f"{key} must be text, not {value!r}", line=1)


def _number(fields: Mapping[str, Any], key: str, path: Path, kind: type[T]) -> T | None:
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, kind)) or not 0 <= value < float("inf"):
        raise BadFile(path, f"{key} must be a number that is not negative, not {value!r}", line=1)
    return kind(value)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
