"""The application: the party service's routes with authentication, a session each, and JSON for every answer."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request

from dbtune.party.routes import ROUTES, Route
from dbtune.party.web import caching, errors, funnel, inputs, logs
from dbtune.party.web import hold as holding
from dbtune.party.web.session import engine, with_session
from dbtune.party.web.settings import Settings

BASE = "/party-api/v1"


def create_app(settings: Settings, folder: Path) -> Flask:
    """Return the application for this process; its funnel is counted in ``folder``.

    Nothing connects yet: the first requests do. ``/info`` and ``/funnel`` are open to all and not counted.
    """
    logs.open_log(settings.log_level)
    app = Flask("party")
    app.extensions["party_engine"] = database = engine(settings)
    errors.install(app, settings)
    if logs.is_debug():
        app.before_request(_log)
    app.before_request(lambda: _authenticate(settings))
    cache = caching.Cache(app, settings, folder)
    run = with_session(database, settings.errors)(_run)
    for route in ROUTES:
        app.add_url_rule(
            BASE + route.template.replace("{", "<").replace("}", ">"),
            endpoint=str(route),
            view_func=cache.around(route, _view(route, run, settings)),
            methods=[route.method],
            provide_automatic_options=False,
        )
    app.add_url_rule("/info", view_func=lambda: jsonify(name="party", **settings.public()), endpoint="info")
    app.add_url_rule("/funnel", view_func=lambda: jsonify(funnel.read(folder).document()), endpoint="funnel")
    if settings.hold_s:
        app.after_request(lambda response: _labelled(response, holding.label(settings)))
    app.wsgi_app = funnel.Counted(app.wsgi_app, funnel.Counters(folder), BASE)  # type: ignore[method-assign]
    return app


def _view(route: Route, run: Callable[..., Any], settings: Settings) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        arguments = inputs.read(route, request)
        if (trail := funnel.current()) is not None:
            trail.mark("hit")
        return jsonify(run(route, settings, tuple(path.values()), arguments))

    return view


def _run(session: Any, route: Route, settings: Settings, path: tuple[str, ...], arguments: dict[str, Any]) -> Any:
    answer = route.function(session, *path, **arguments)
    holding.hold(session, settings)
    return answer


def _log() -> None:
    logs.debug("request", method=request.method, path=request.full_path.removesuffix("?"))


def _authenticate(settings: Settings) -> Response | None:
    if not request.path.startswith(BASE):
        return None
    given = request.authorization
    user, password = (given.username or "", given.password or "") if given and given.type == "basic" else ("", "")
    right = hmac.compare_digest(user.encode(), settings.user.encode())
    if hmac.compare_digest(password.encode(), settings.password.encode()) and right:
        return None
    return errors.answer(401, "say who you are (basic authentication)", WWW_Authenticate='Basic realm="party"')


def _labelled(response: Response, label: str) -> Response:
    response.headers[holding.HEADER] = label
    return response
