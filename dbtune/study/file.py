"""The list of arms as TOML: see docs/study.md for its keys. Three come with dbtune: quick, full and isolated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from dbtune.errors import BadFile, UsageError
from dbtune.party.rows import Scale
from dbtune.party.web.servers import Kind, Server
from dbtune.party.web.settings import Caching, Errors, LogLevel, Settings
from dbtune.study.arm import ROUTES, Arm, Reported, Sets, Steady, Study

Word = TypeVar("Word", bound=StrEnum)

_STUDY = {
    "title": str,
    "max_connections": int,
    "client_timeout": float,
    "seed": int,
    "repeat": int,
    "calibrate": float,
    "defaults": dict,
    "arm": list,
}
_ARM = {
    "name": str,
    "title": str,
    "reported": str,
    "businesses": int,
    "versions": float,
    "indexes": bool,
    "server": str,
    "workers": int,
    "threads": int,
    "worker_connections": int,
    "backlog": int,
    "pool_size": int,
    "max_overflow": int,
    "pool_timeout": float,
    "errors": str,
    "caching": str,
    "cache_seconds": int,
    "cache_entries": int,
    "hold": float,
    "routes": list,
    "keys": int,
    "counts": list,
    "offsets_ms": list,
    "faster": float,
    "isolated": bool,
    "drain": float,
    "rate": float,
    "seconds": float,
    "kill_at": float,
}
_SERVER = ("workers", "threads", "worker_connections", "backlog")
_POOL = ("pool_size", "max_overflow", "pool_timeout", "cache_seconds", "cache_entries")
_ROUTES = tuple(each.removeprefix("GET /businesses") for each in ROUTES)
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


def shipped(name: str) -> Study:
    """Return one that comes with dbtune: ``quick``, ``full`` or ``isolated``."""
    path = files("dbtune.study").joinpath(f"{name}.toml")
    return parse(path.read_text(encoding="utf-8"), Path(f"{name}.toml"))


def load(path: Path) -> Study:
    """Return the study of a file.

    :raises BadFile: it cannot be read or used: which arm, what to do.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadFile(path, "is not UTF-8") from None


def parse(text: str, path: Path) -> Study:
    """Return the study that a text declares; ``path`` is for messages.

    :raises BadFile: see :func:`load`.
    """
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(path, f"is not TOML: {error}") from None
    _check(path, "the study", told, _STUDY)
    defaults = told.get("defaults", {})
    _check(path, "[defaults]", defaults, _ARM)
    listed = told.get("arm", [])
    if not listed:
        raise BadFile(path, "has no arms; write an [[arm]] with a name")
    arms: list[Arm] = []
    for number, each in enumerate(listed, 1):
        arm = _arm(path, f"arm {number}", defaults, each)
        if arm.name in {other.name for other in arms}:
            raise BadFile(path, f"arm {number}: another arm is named {arm.name!r}")
        arms.append(arm)
    study = Study(
        title=told.get("title", path.stem),
        arms=tuple(arms),
        max_connections=told.get("max_connections", 100),
        client_timeout_s=float(told.get("client_timeout", 60.0)),
        seed=told.get("seed", 2019),
        repeat=told.get("repeat", 1),
        calibrate_s=float(told.get("calibrate", 1.0)),
    )
    if not (10 <= study.max_connections <= 1000 and study.client_timeout_s > 0 and 1 <= study.repeat <= 100):
        raise BadFile(path, "max_connections is 10 to 1000, client_timeout more than 0, repeat 1 to 100")
    if not 0.2 <= study.calibrate_s <= 60:
        raise BadFile(path, "calibrate is 0.2 to 60 seconds")
    return study


def _check(path: Path, where: str, told: Any, known: Mapping[str, type]) -> None:
    if not isinstance(told, dict):
        raise BadFile(path, f"{where} must be a table")
    for key, value in told.items():
        if key not in known:
            raise BadFile(path, f"{where}: {key} is not known; known are {', '.join(known)}")
        wanted = known[key]
        fits = isinstance(value, (int, float) if wanted is float else wanted)
        if not fits or (wanted is not bool and isinstance(value, bool)):
            raise BadFile(path, f"{where}: {key} must be {_WORDS[wanted]}")


def _arm(path: Path, where: str, defaults: dict[str, Any], told: Any) -> Arm:
    _check(path, where, told, _ARM)
    if not told.get("name"):
        raise BadFile(path, f"{where}: it has no name")
    where = f"arm {told['name']!r}"
    for one, others in (("rate", ("counts", "offsets_ms", "faster", "isolated", "drain")), ("counts", ("rate",))):
        if one in told:  # what an arm says of its load replaces what the defaults say
            defaults = {key: value for key, value in defaults.items() if key not in others}
    given = {**defaults, **told}
    try:
        return _made(given)
    except (UsageError, ValueError, TypeError) as error:
        raise BadFile(path, f"{where}: {error}") from None


def _made(given: dict[str, Any]) -> Arm:
    settings = Settings(
        url="",
        errors=_one_of(Errors, "errors", given.get("errors", "2019")),
        caching=_one_of(Caching, "caching", given.get("caching", "off")),
        hold_s=float(given.get("hold", 0.0)),
        log_level=LogLevel.WARNING,
        **{key: given[key] for key in _POOL if key in given},
    )
    if settings.caching not in (Caching.OFF, Caching.PATH, Caching.SIMPLE):
        raise UsageError("caching is off, path or simple: a study starts no cache of others")
    arm = Arm(
        name=given["name"],
        title=given.get("title", given["name"]),
        scale=Scale(businesses=given.get("businesses", 10_000), versions=float(given.get("versions", 1.8))),
        indexes=given.get("indexes", False),
        server=Server(
            kind=_one_of(Kind, "server", given.get("server", "threaded")),
            **{key: given[key] for key in _SERVER if key in given},
        ),
        settings=settings,
        load=_load(given),
        routes=_routes(given.get("routes", list(_ROUTES))),
        keys=given.get("keys", 10_000),
        reported=_one_of(Reported, "reported", given["reported"]) if "reported" in given else None,
        killed_at_s=given.get("kill_at"),
    )
    if not 1 <= arm.keys <= arm.scale.businesses or arm.scale.businesses < 10 or arm.scale.versions < 1:
        raise UsageError("businesses is 10 or more, versions 1 or more, keys from 1 to the businesses")
    arm.schedule(1)
    return arm


def _one_of(kind: type[Word], key: str, value: str) -> Word:
    try:
        return kind(value)
    except ValueError:
        raise UsageError(f"{key} is {value!r}; there are {', '.join(kind)}") from None


def _routes(given: list[Any]) -> tuple[int, ...]:
    if not given or not all(each in _ROUTES for each in given):
        raise UsageError(f"routes must be some of {', '.join(_ROUTES)}")
    return tuple(_ROUTES.index(each) for each in given)


def _load(given: dict[str, Any]) -> Sets | Steady:
    if "rate" in given:
        return Steady(rate=float(given["rate"]), seconds=float(given.get("seconds", 10.0)))
    sets = Sets()
    return replace(
        sets,
        counts=tuple(int(each) for each in given.get("counts", sets.counts)),
        offsets_ms=tuple(float(each) for each in given.get("offsets_ms", sets.offsets_ms)),
        faster=float(given.get("faster", 1.0)),
        isolated=given.get("isolated", False),
        drain_s=float(given.get("drain", sets.drain_s)),
    )
