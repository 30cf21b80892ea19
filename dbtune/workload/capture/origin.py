"""Which part of an application sends a statement: the request being answered, a comment's tags, or the calling code.

The first of these that is known: a label given by :func:`label`, the Flask request's method and rule, the Starlette or
FastAPI route's, sqlcommenter's or marginalia's tags in the statement, the first frame of the application's own code.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, wraps
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from urllib.parse import unquote

_label: ContextVar[str | None] = ContextVar("dbtune_label", default=None)
_asgi_route: ContextVar[str | None] = ContextVar("dbtune_asgi_route", default=None)

_FOREIGN = (
    "site-packages",
    "dist-packages",
    str(Path(__file__).parent),
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib")},
)
_TAG = r"""[\w%.-]+\s*[=:]\s*(?:'(?:[^'\\*]|\\.)*'|[^\s,'*][^,*]*)"""
_TAGS = re.compile(
    rf"\s*/\*\s*({_TAG}(?:\s*,\s*{_TAG})*)\s*\*/\s*(;?)\s*\Z|\A\s*/\*\s*({_TAG}(?:\s*,\s*{_TAG})*)\s*\*/\s*"
)
_ONE_TAG = re.compile(_TAG)

_Handle = Callable[..., Awaitable[None]]


@contextmanager
def label(name: str) -> Iterator[None]:
    """Label what this thread or task sends inside the block; the innermost label wins."""
    token = _label.set(name)
    try:
        yield
    finally:
        _label.reset(token)


def origin(statement: str) -> str | None:
    """Return where ``statement`` comes from; to be called where it is sent. None if nothing is known."""
    try:
        return _label.get() or _flask_route() or _asgi_route.get() or _tagged(statement) or _call_site()
    except Exception:  # a framework that changed must not cost the application its statement
        return None


def _flask_route() -> str | None:
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return None
    request = flask.request._get_current_object()  # asked once, because each look through the proxy costs as much
    rule = request.url_rule
    return None if rule is None else f"{request.method} {rule.rule}"


def label_asgi_routes() -> None:
    """Make Starlette's routes, and so FastAPI's, tell which of them is being answered; once, and if it is loaded."""
    routing = sys.modules.get("starlette.routing")
    route = getattr(routing, "Route", None)
    if route is not None and not hasattr(route.handle, "__wrapped__"):
        route.handle = _labelled(route.handle)


def _labelled(handle: _Handle) -> _Handle:
    @wraps(handle)
    async def labelled(self: Any, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        mounted_at = str(scope.get("root_path", "")).removeprefix(str(scope.get("app_root_path", "")))
        token = _asgi_route.set(f"{scope.get('method', '')} {mounted_at}{self.path}".strip())
        try:
            await handle(self, scope, receive, send)
        finally:
            _asgi_route.reset(token)

    return labelled


def without_tags(statement: str) -> str:
    """Return ``statement`` without a comment of tags, which often differ with every request."""
    return _TAGS.sub(r"\2", statement) if "/*" in statement else statement


def _tagged(statement: str) -> str | None:
    return tagged_route(statement) if "/*" in statement else None


@lru_cache(maxsize=1024)
def tagged_route(statement: str) -> str | None:
    """Return what the tags in a comment before or after ``statement`` say of its origin: route, or controller#action.

    Tags are written ``key='value'``, ``key=value`` or ``key:value``, with URL escapes.
    """
    found = _TAGS.search(statement)
    if found is None:
        return None
    tags: dict[str, str] = {}
    for tag in _ONE_TAG.findall(found.group(1) or found.group(3)):
        key, _, value = re.split(r"\s*([=:])\s*", tag, maxsplit=1)
        tags[unquote(key.strip().lower())] = unquote(value.strip().strip("'").replace("%%", "%"))
    if route := tags.get("route") or tags.get("http_route"):
        return route
    parts = [tags[key] for key in ("controller", "action") if key in tags]
    return "#".join(parts) or None


def _call_site() -> str | None:
    """Return ``module:function`` of the innermost frame of the application's own code."""
    frame: FrameType | None = sys._getframe(2)
    found = _own(frame)
    greenlet = sys.modules.get("greenlet")
    if found is None and greenlet is not None:  # of an asynchronous engine: its caller waits in the parent greenlet
        parent = greenlet.getcurrent().parent
        found = _own(parent.gr_frame) if parent is not None else None
    return found


def _own(frame: FrameType | None) -> str | None:
    while frame is not None:
        if _is_own(frame.f_code):
            return f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}"
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def _is_own(code: CodeType) -> bool:
    return not code.co_filename.startswith("<") and not any(part in code.co_filename for part in _FOREIGN)
