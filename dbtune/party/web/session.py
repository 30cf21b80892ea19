"""A session a request, from a counted pool: committed at the end, rolled back when anything fails."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from dbtune.party.refusals import Refusal
from dbtune.party.web import funnel, logs
from dbtune.party.web.settings import Errors, Settings

_CONNECT_SECONDS = 10

# psycopg2 gives no SQLSTATE for a connection that was refused. The messages are of PostgreSQL 13-18, English.
_TOO_MANY = re.compile(r"too many (clients|connections)|connection slots are reserved")


def engine(settings: Settings) -> Engine:
    """Return an engine whose pool and statements are counted on the trail of the request they are for."""
    made = create_engine(
        settings.url,
        poolclass=_CountedPool,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_recycle=settings.pool_recycle,
        pool_timeout=settings.pool_timeout,
        connect_args={"application_name": settings.application_name, "connect_timeout": _CONNECT_SECONDS},
    )
    event.listen(made, "before_cursor_execute", _sent)
    return made


def with_session(engine: Engine, errors: Errors) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator: the function is called with a session first, for one request.

    As in 2019, an error of the database is logged here and raised again as a plain SQLAlchemyError, which hides its
    class from whoever answers; *good* leaves it as it is and logs it where it is answered.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            trail = funnel.current()
            if logs.is_debug():
                logs.debug("acquiring a session", **pool_counts(engine))
            session = Session(engine)
            try:
                answer = function(session, *arguments, **named)
                session.commit()
                _completed(trail)
                return answer
            except Refusal:
                session.rollback()
                _completed(trail)  # an answer like any other
                raise
            except SQLAlchemyError as error:
                with suppress(SQLAlchemyError):
                    session.rollback()
                if errors is Errors.GOOD:
                    raise
                logs.failure("database error, rolled back", error, **pool_counts(engine))
                raise SQLAlchemyError(f"{type(error).__name__}: {first_line(error)}") from error
            except BaseException:
                with suppress(SQLAlchemyError):
                    session.rollback()
                raise
            finally:
                session.close()

        return wrapper

    return decorate


def pool_counts(engine: Engine) -> dict[str, int]:
    """Return the pool's size and how many of its connections are in, out and over its size."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return {
        "pool_size": pool.size(),
        "checked_in": pool.checkedin(),
        "checked_out": pool.checkedout(),
        "overflow": pool.overflow(),
    }


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line and without the statement."""
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _completed(trail: funnel.Trail | None) -> None:
    if trail is not None and trail.has("query_started"):
        trail.mark("query_completed")


def _sent(*_: Any) -> None:
    if (trail := funnel.current()) is not None:
        trail.statement()


class _CountedPool(QueuePool):
    """A queue pool that tells a request's trail when it waits, for SQLAlchemy's own events come after the wait."""

    def connect(self) -> PoolProxiedConnection:
        trail = funnel.current()
        if trail is None:
            return super().connect()
        trail.mark("pool_wait")
        try:
            got = super().connect()
        except PoolTimeout:
            trail.mark("pool_timeout")
            raise
        except Exception as error:
            trail.mark("too_many_clients" if _TOO_MANY.search(str(error)) else "connect_failed")
            raise
        trail.mark("connection")
        return got
