"""Answers kept for a while: as in 2019, by path alone and never dropped early, or rightly.

Right keys hold the method, path, sorted query and body, and a generation that each write makes anew once it is
committed: a reader that began before it stores its answer where nobody looks any more. All workers on one machine
share the generation of SimpleCache in a file; for Redis and Memcached it is a key of theirs.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import mmap
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask, Response, request

from dbtune.errors import UsageError
from dbtune.party.refusals import Refusal
from dbtune.party.routes import Route
from dbtune.party.web import logs
from dbtune.party.web.settings import Caching, Settings

View = Callable[..., Response]

_PREFIX = "party:"
_GENERATION = "generation"
_MEMCACHED_PORT = 11211
_CLIENTS = {
    Caching.REDIS: (("redis",), "redis", "redis://localhost:6379/0"),
    Caching.MEMCACHED: (("pylibmc", "memcache", "libmc"), "python-memcached", "memcached://localhost:11211"),
}
"""The modules of which Flask-Caching takes the first, the package to install for one, and an address."""


def check(settings: Settings) -> None:
    """Find out whether the cache can be used at all.

    :raises UsageError: its client is not installed, or its address is missing.
    """
    if settings.caching not in _CLIENTS:
        return
    modules, package, example = _CLIENTS[settings.caching]
    if not settings.cache_url:
        raise UsageError(f"caching in {settings.caching} needs an address: --cache-url {example}, or $CACHE_URL")
    if not any(find_spec(module) for module in modules):
        raise UsageError(f"caching in {settings.caching} needs a client: pip install {package}")


class Cache:
    """The cache of one process, or none."""

    def __init__(self, app: Flask, settings: Settings, folder: Path) -> None:
        self._kind = settings.caching
        if self._kind is Caching.OFF:
            return
        from flask_caching import Cache as FlaskCache

        self._cache = FlaskCache(app, config=_config(settings))
        self._generation: _Generation
        if self._kind is Caching.SIMPLE:
            self._generation = _Shared(folder / _GENERATION)
        elif self._kind is not Caching.PATH:
            self._generation = _Kept(self._cache)

    def around(self, route: Route, view: View) -> View:
        """Return ``view`` that answers from the cache where it can, or that makes the cache forget."""
        if self._kind is Caching.OFF:
            return view
        if self._kind is Caching.PATH:
            return self._cache.cached()(view) if route.method == "GET" else view
        return self._kept(view) if route.method == "GET" else self._forgetting(view)

    def _kept(self, view: View) -> View:
        return self._cache.cached(make_cache_key=self._key)(view)

    def _key(self, *_: Any, **__: Any) -> str:
        parts = (self._generation.current(), request.path, sorted(request.args.items(multi=True)), request.get_data())
        return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()

    def _forgetting(self, view: View) -> View:
        @functools.wraps(view)
        def wrapper(*arguments: Any, **named: Any) -> Response:
            try:
                answer = view(*arguments, **named)
            except Refusal:
                raise  # nothing was changed
            except Exception:
                self._forget()  # the commit may have come through all the same
                raise
            self._forget()
            return answer

        return wrapper

    def _forget(self) -> None:
        try:
            self._generation.renew()
        except Exception as error:  # the write is done: its answer must not fail because the cache does
            logs.failure("the cache could not be told of a write; it may be wrong until it expires", error)


def _config(settings: Settings) -> dict[str, Any]:
    config: dict[str, Any] = {
        "CACHE_DEFAULT_TIMEOUT": settings.cache_seconds,
        "CACHE_KEY_PREFIX": _PREFIX,
        "CACHE_THRESHOLD": settings.cache_entries,
    }
    if settings.caching is Caching.REDIS:
        return config | {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": settings.cache_url}
    if settings.caching is Caching.MEMCACHED:
        where = urlsplit(settings.cache_url or "")
        server = f"{where.hostname}:{where.port or _MEMCACHED_PORT}"
        return config | {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": [server]}
    return config | {"CACHE_TYPE": "SimpleCache"}


class _Generation(Protocol):
    def current(self) -> str: ...

    def renew(self) -> None: ...


class _Shared:
    """A number in a file that all processes have mapped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._file.truncate(8)
        self._cell = memoryview(mmap.mmap(self._file.fileno(), 8)).cast("Q")

    def current(self) -> str:
        return str(self._cell[0])

    def renew(self) -> None:
        with Path(self._file.name).open("r+b") as file:  # a lock of its own for each thread
            fcntl.flock(file, fcntl.LOCK_EX)
            self._cell[0] += 1


class _Kept:
    """A word in the cache itself; when the cache loses it, the answers are lost with it."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def current(self) -> str:
        word = self._cache.get(_GENERATION)
        if word is None:
            self._cache.add(_GENERATION, uuid4().hex, timeout=0)
            word = self._cache.get(_GENERATION) or uuid4().hex
        return str(word)

    def renew(self) -> None:
        self._cache.set(_GENERATION, uuid4().hex, timeout=0)
