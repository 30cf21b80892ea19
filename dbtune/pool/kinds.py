"""Kinds of connection pools, and what each does where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What holds connections in a process, as the input file names it."""

    SQLALCHEMY = "sqlalchemy"
    NULL_POOL = "null-pool"
    STATIC_POOL = "static-pool"
    DJANGO = "django"
    DJANGO_POOL = "django-pool"
    PSYCOPG_POOL = "psycopg-pool"
    PSYCOPG2_POOL = "psycopg2-pool"
    ASYNCPG = "asyncpg"
    AIOPG = "aiopg"
    DATABASES = "databases"
    PEEWEE = "peewee"
    CONNECTION = "connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """A kind's defaults; seconds. ``of`` is whose default it is, in the genitive."""

    of: str
    pool_size: int
    max_overflow: int = 0
    pool_timeout: float | None = None
    pool_recycle: float | None = None


_PSYCOPG_POOL = Defaults(of="psycopg_pool's", pool_size=4, pool_timeout=30.0)

DEFAULTS: Mapping[Kind, Defaults] = {
    Kind.SQLALCHEMY: Defaults(of="SQLAlchemy's", pool_size=5, max_overflow=10, pool_timeout=30.0, pool_recycle=-1.0),
    Kind.NULL_POOL: Defaults(of="NullPool's", pool_size=1),
    Kind.STATIC_POOL: Defaults(of="StaticPool's", pool_size=1),
    Kind.DJANGO: Defaults(of="Django's", pool_size=1),
    Kind.DJANGO_POOL: _PSYCOPG_POOL,
    Kind.PSYCOPG_POOL: _PSYCOPG_POOL,
    Kind.PSYCOPG2_POOL: Defaults(of="psycopg2.pool's", pool_size=1),
    Kind.ASYNCPG: Defaults(of="asyncpg's", pool_size=10),
    Kind.AIOPG: Defaults(of="aiopg's", pool_size=10, pool_timeout=60.0),
    Kind.DATABASES: Defaults(of="asyncpg's", pool_size=10),
    Kind.PEEWEE: Defaults(of="peewee's", pool_size=20),
    Kind.CONNECTION: Defaults(of="a single connection's", pool_size=1),
}
"""From each one's own documentation: SQLAlchemy QueuePool, psycopg_pool ConnectionPool (max_size is min_size, 4),
asyncpg.create_pool, aiopg.create_pool, playhouse.pool. Django without OPTIONS["pool"] has one connection a thread."""
