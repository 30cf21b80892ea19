"""A snapshot as one JSON file, gzipped where its name ends in ``.gz``; docs/snapshot.md says what is in it."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import types
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from dbtune.errors import BadFile, UsageError
from dbtune.snapshot.value import Snapshot

FORMAT = "dbtune snapshot"
FORMAT_VERSION = 1
"""Raised when a field changes its meaning or goes away, or when one comes that a reader must know."""

_GZIP = b"\x1f\x8b"
_PRIVATE = 0o600


def dump(snapshot: Snapshot) -> str:
    """Return the file's text: equal snapshots give equal text. Fields that have their default are left out."""
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, **_document(snapshot)}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def save(snapshot: Snapshot, path: Path) -> int:
    """Write the file, all or nothing, readable for its owner only, and return its bytes.

    Statistics hold values from the tables' rows, so what was at ``path`` with wider permissions is replaced.

    :raises UsageError: it cannot be written.
    """
    data = dump(snapshot).encode("utf-8", "surrogateescape")
    if path.name.endswith(".gz"):
        data = _zipped(data)
    try:
        if path.exists() and not path.is_file():  # a device or pipe
            path.write_bytes(data)
            return len(data)
        target = path.resolve()
        part = target.with_name(f"{target.name}.part-{os.getpid()}")
        try:
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:
                file.write(data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another --output") from None
    return len(data)


def _zipped(data: bytes) -> bytes:
    """Return the same bytes for the same data: no time and no name in the header."""
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()


def load(path: Path) -> Snapshot:
    """Read a file that :func:`save` wrote.

    :raises BadFile: it cannot be read, is no snapshot, or one of a newer dbtune.
    """
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise BadFile(path, "is a folder; name the file that dbtune snapshot wrote")
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise BadFile(path, "is not a whole gzip file; take the snapshot again") from None
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(path, f"is not UTF-8 (byte {error.start})") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Snapshot:
    """Return the snapshot in ``text``; ``path`` stands in messages.

    :raises BadFile: as :func:`load`.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            raise BadFile(path, f"is not JSON: {error.msg}", line=error.lineno) from None
        raise BadFile(path, f"is not a snapshot: {error}") from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise BadFile(path, "is not a snapshot; dbtune snapshot writes one")
    version = document.pop("format_version", None)
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        advice = "use a newer dbtune" if newer else "take it again"
        raise BadFile(path, f"has format version {version!r}, but this dbtune reads {FORMAT_VERSION}; {advice}")
    try:
        value: Snapshot = _value(document, Snapshot, "")
    except _Unfit as unfit:
        raise BadFile(path, str(unfit)) from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no number")


class _Unfit(Exception):
    """A part of the document that does not fit the value's type; the message says where and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where.removeprefix('.') or 'document'} {reason}")


def _document(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            name: _document(held)
            for name, _, field in _fields(type(value))
            if (held := getattr(value, name)) != _default(field)
        }
    if isinstance(value, tuple):
        return [_document(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _document(value[key]) for key in sorted(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    return value


@cache
def _fields(kind: type) -> tuple[tuple[str, Any, Field[Any]], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name], field) for field in fields(kind))


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _value(found: Any, kind: Any, where: str) -> Any:
    """Return what the document holds as a value of that type.

    :raises _Unfit: it is of another one.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [each for each in get_args(kind) if each is not type(None)]
        return None if found is None else _value(found, inner[0], where)
    if is_dataclass(kind):
        return _record(found, kind, where)
    if origin is tuple:
        return _sequence(found, get_args(kind), where)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(found, get_args(kind), where)
    return _plain(found, kind, where)


def _record(found: Any, kind: Any, where: str) -> Any:
    if not isinstance(found, dict):
        raise _Unfit(where, "must be an object")
    known = {name: (hint, field) for name, hint, field in _fields(kind)}
    if unknown := sorted(set(found) - set(known)):
        raise _Unfit(where, f"has a field {unknown[0]!r} that this dbtune does not know; use a newer one")
    for name, (_, field) in known.items():
        if name not in found and _default(field) is MISSING:
            raise _Unfit(where, f"lacks the field {name!r}")
    return kind(**{name: _value(each, known[name][0], f"{where}.{name}") for name, each in found.items()})


def _sequence(found: Any, inner: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(found, list):
        raise _Unfit(where, "must be a list")
    if inner[-1] is Ellipsis:
        return tuple(_value(each, inner[0], f"{where}[{at}]") for at, each in enumerate(found))
    if len(found) != len(inner):
        raise _Unfit(where, f"must have {len(inner)} members")
    return tuple(_value(each, one, f"{where}[{at}]") for at, (each, one) in enumerate(zip(found, inner, strict=True)))


def _mapping(found: Any, inner: tuple[Any, ...], where: str) -> dict[Any, Any]:
    if not isinstance(found, dict):
        raise _Unfit(where, "must be an object")
    key_type, value_type = inner
    try:
        return {key_type(key): _value(each, value_type, f"{where}.{key}") for key, each in found.items()}
    except ValueError:
        raise _Unfit(where, "must have numbers as keys") from None


def _plain(found: Any, kind: Any, where: str) -> Any:
    if kind is datetime:
        try:
            time = datetime.fromisoformat(found)
        except (TypeError, ValueError):
            raise _Unfit(where, "must be a time such as 2026-01-31T10:00:00+00:00") from None
        if time.tzinfo is None:
            raise _Unfit(where, "must be a time with its zone, such as 2026-01-31T10:00:00+00:00")
        return time
    if kind is float and isinstance(found, (int, float)) and not isinstance(found, bool):
        return float(found)
    if type(found) is not kind:
        raise _Unfit(where, f"must be {_WORDS[kind]}, not {found!r:.40}")
    return found


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
