"""What a run of the service can be told: its database, pool, errors, cache, hold and who may ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import inf
from typing import Any

from dbtune.errors import UsageError

VARIABLES = {
    "pool_size": ("DB_POOL_SIZE", int),
    "max_overflow": ("DB_MAX_OVERFLOW", int),
    "pool_recycle": ("DB_POOL_RECYCLE", int),
    "pool_timeout": ("DB_POOL_TIMEOUT", float),
    "user": ("SECURITY_USER_NAME", str),
    "password": ("SECURITY_USER_PASSWORD", str),
    "log_level": ("LOGGING_LEVEL", str),
    "cache_url": ("CACHE_URL", str),
}
"""The environment variable of each setting that has one, and its type."""


class Errors(StrEnum):
    """How failures are answered: as in 2019, or well."""

    AS_IN_2019 = "2019"
    GOOD = "good"


class Caching(StrEnum):
    """Where answers to GET are kept, and by which key."""

    OFF = "off"
    PATH = "path"
    """SimpleCache keyed by the path alone, as Flask-Caching does unless told: WRONG BODIES where a query matters."""
    SIMPLE = "simple"
    """SimpleCache, in each process its own, keyed by all that an answer depends on."""
    REDIS = "redis"
    MEMCACHED = "memcached"


class LogLevel(StrEnum):
    """What is logged: failures; starts, stops and the funnel too; the pool at each request too, as in 2019."""

    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process, with the defaults of January 2019; times in seconds.

    ``hold_s`` emulates a slower database: each request keeps its connection busy for so long more, or for an
    exponentially distributed time with that mean. It is told in every answer.

    :raises UsageError: a value makes no sense.
    """

    url: str = field(repr=False)
    pool_size: int = 5
    max_overflow: int = 10
    pool_recycle: int = -1
    pool_timeout: float = 30.0
    errors: Errors = Errors.AS_IN_2019
    retry_after_s: int = 2
    caching: Caching = Caching.OFF
    cache_url: str | None = field(default=None, repr=False)
    cache_seconds: int = 300
    cache_entries: int = 500
    hold_s: float = 0.0
    hold_exponential: bool = False
    user: str = "admin"
    password: str = field(default="secret", repr=False)
    log_level: LogLevel = LogLevel.INFO
    application_name: str = "party"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        least = {
            "pool_size": 0,
            "max_overflow": -1,
            "pool_recycle": -1,
            "pool_timeout": 0,
            "retry_after_s": 1,
            "cache_seconds": 1,
            "cache_entries": 1,
            "hold_s": 0,
        }
        for name, minimum in least.items():
            if not minimum <= getattr(self, name) < inf:
                raise UsageError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be {minimum} or more")
        if ":" in self.user:
            raise UsageError("the user's name has a colon, which basic authentication cannot carry")

    @property
    def cap(self) -> int | None:
        """How many connections one process may open; None is without limit, as SQLAlchemy reads 0 and -1."""
        return None if not self.pool_size or self.max_overflow < 0 else self.pool_size + self.max_overflow

    def public(self) -> dict[str, Any]:
        """Return what may be shown: no URL, no password."""
        secret = ("url", "cache_url", "user", "password")
        return {name: value for name, value in asdict(self).items() if name not in secret}

    def dump(self) -> str:
        """Return all of it as JSON, with the passwords: for a pipe, not for a screen."""
        return json.dumps(asdict(self))


def load(text: str) -> Settings:
    """Return what :meth:`Settings.dump` gave as text."""
    found = json.loads(text)
    enums = {"errors": Errors, "caching": Caching, "log_level": LogLevel}
    values: dict[str, Any] = {name: enums[name](value) if name in enums else value for name, value in found.items()}
    return Settings(**values)


def from_environment(environ: Mapping[str, str], **given: Any) -> Settings:
    """Return settings: what is ``given`` and not None, else what the variables say, else the defaults.

    :raises UsageError: a variable is no number or no such level.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name, (variable, type_) in VARIABLES.items():
        if name in values or not (text := environ.get(variable)):
            continue
        try:
            values[name] = LogLevel(text.lower()) if name == "log_level" else type_(text)
        except ValueError:
            hint = f"one of {', '.join(LogLevel)}" if name == "log_level" else "a number"
            raise UsageError(f"${variable} is {text!r}; it must be {hint}") from None
    return Settings(**values)
