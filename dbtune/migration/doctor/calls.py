"""What calls do, as far as transactions, engines and Alembic are concerned."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from dbtune.migration.doctor import context, engines, expressions
from dbtune.migration.doctor.arguments import Arguments, Call, connection_of, send, sql_of
from dbtune.migration.doctor.signals import Raised
from dbtune.migration.doctor.source import Site
from dbtune.migration.doctor.values import (
    UNKNOWN,
    Begun,
    Connection,
    Const,
    Engine,
    Function,
    How,
    Inspector,
    Items,
    Manager,
    Paused,
    Ref,
    Series,
    Session,
    Transaction,
    Value,
)

if TYPE_CHECKING:
    from dbtune.migration.doctor.names import Scope
    from dbtune.migration.doctor.walk import Walk

SENDS = frozenset({"execute", "exec_driver_sql", "scalar", "scalars", "stream", "stream_scalars"})
_ENDS = frozenset({"commit", "rollback", "close", "aclose", "invalidate", "prepare"})
_BEGINS = frozenset({"begin", "begin_nested", "begin_twophase"})
_RUNNERS = frozenset(
    """run run_until_complete run_sync create_task ensure_future submit Thread run_in_executor to_thread start_soon
    run_in_threadpool apply""".split()
)
_DDL = frozenset({"create_all", "drop_all", "create", "drop"})


def call(walk: Walk, node: ast.Call, scope: Scope) -> Value:
    """Return what a call returns, and note what it does."""
    site = Site(scope.source, node)
    receiver = walk.value(node.func.value, scope) if isinstance(node.func, ast.Attribute) else None
    if receiver is not None and isinstance(node.func, ast.Attribute):
        target = expressions.attribute(walk, receiver, node.func.attr)
        words = scope.source.text(node.func.value)
    else:
        target, words = walk.value(node.func, scope), ""
    made = Call(walk, site, _arguments(walk, node, scope), words)
    if isinstance(target, Function):
        return walk.invoke(target, made.arguments)
    if isinstance(target, Ref):
        known = context.called(target.name, made) or engines.called(target.last, made) or _python(target, made)
        if known is not None:
            return known
    if receiver is not None and isinstance(node.func, ast.Attribute):
        return _method(receiver, node.func.attr, made)
    return _passed(made, target.last if isinstance(target, Ref) else "")


def bind(walk: Walk, function: Function, given: Arguments, scope: Scope) -> None:
    """Give a function's parameters their values."""
    spec = function.node.args
    names = [each.arg for each in (*spec.posonlyargs, *spec.args)]
    positional = [*function.bound, *given.positional]
    for name, default in zip(reversed(names), reversed(spec.defaults), strict=False):
        scope.values[name] = walk.value(default, function.scope)
    for each, keyword_default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        scope.values[each.arg] = walk.value(keyword_default, function.scope) if keyword_default else Value()
    scope.values.update(zip(names, positional, strict=False))
    scope.values.update(given.named)
    for name in names:
        scope.values.setdefault(name, Value())
    if spec.vararg is not None:
        scope.values[spec.vararg.arg] = Series(positional[len(names) :])
    if spec.kwarg is not None:
        known = {*names, *(each.arg for each in spec.kwonlyargs)}
        extra = {name: value for name, value in given.named.items() if name not in known}
        scope.values[spec.kwarg.arg] = Items(extra, given.is_open)


def _arguments(walk: Walk, node: ast.Call, scope: Scope) -> Arguments:
    made = Arguments([], {})
    for each in node.args:
        if isinstance(each, ast.Starred):
            found = walk.value(each.value, scope)
            made.positional += found.items if isinstance(found, Series) else []
            made.is_open |= not isinstance(found, Series)
        else:
            made.positional.append(walk.value(each, scope))
    for keyword in node.keywords:
        found = walk.value(keyword.value, scope)
        if keyword.arg is not None:
            made.named[keyword.arg] = found
        else:
            made.named |= found.items if isinstance(found, Items) else {}
            made.is_open |= not isinstance(found, Items) or found.is_open
    return made


def _python(target: Ref, made: Call) -> Value | None:
    """Return what Python's own functions return."""
    given = made.arguments.positional
    match target.last:
        case "exit" | "_exit" | "abort":
            raise Raised
        case "dict" if not given or isinstance(given[0], Items):
            first = given[0] if given else Items({})
            assert isinstance(first, Items)
            items = {**first.items, **made.arguments.named}
            return Items(items, first.is_open or made.arguments.is_open)
        case "str" | "make_url" | "text" | "DDL" | "copy" | "deepcopy" | "unquote" if given:
            return replace(given[0]) if isinstance(given[0], Const) else Value()
        case "nullcontext" | "closing" | "aclosing":
            return Manager(given[0] if given else Const(None))
        case "partial" if given and isinstance(given[0], Function):
            return Function(given[0].node, given[0].scope, [*given[0].bound, *given[1:]])
        case "getattr" if len(given) > 1 and isinstance(given[1], Const) and isinstance(given[1].value, str):
            return expressions.attribute(made.walk, given[0], given[1].value)
        case "isinstance" if len(given) == 2:
            return _is_instance(given[0], given[1])
        case "listen" | "listens_for":
            return Value()
    return None


def _is_instance(value: Value, kind: Value) -> Value:
    kinds = kind.items if isinstance(kind, Series) else [kind]
    names = {each.last for each in kinds if isinstance(each, Ref)}
    match value:
        case Engine(is_async=is_async):
            return Const(bool(names & ({"AsyncEngine"} if is_async else {"Engine"})))
        case Connection() if value.engine is not None:
            return Const(bool(names & {"Connection", "AsyncConnection"}))
        case Const(value=constant) if not isinstance(constant, str):
            return Const(False)
    return Value()


def _method(receiver: Value, name: str, made: Call) -> Value:
    match receiver:
        case Engine():
            return engines.method(receiver, name, made)
        case Connection():
            return _on_connection(receiver, name, made)
        case Transaction(connection=connection, yields=yields):
            if name in _ENDS:
                connection.end()
            return yields or receiver if name in ("__enter__", "__aenter__", "start") else Value()
        case Session():
            return _on_session(receiver, name, made)
        case Inspector(connection=connection, words=words):
            given = made.arguments.positional
            if name.startswith(("has_", "get_", "reflect")):
                send(made, connection, "", _words(made) if given and isinstance(given[0], Connection) else words)
            return Value()
        case Const(value=str() as text):
            return _on_text(receiver, text, name, made)
        case Items():
            return _on_items(receiver, name, made)
    return _on_unknown(receiver, name, made)


def _words(made: Call) -> str:
    """Return how the first argument is written."""
    node = made.site.node
    return made.site.source.text(node.args[0]) if isinstance(node, ast.Call) and node.args else ""


def _on_connection(connection: Connection, name: str, made: Call) -> Value:
    if name in SENDS:
        send(made, connection, sql_of(made.arguments), made.receiver)
    elif name in _BEGINS:
        is_nested = name == "begin_nested"
        if connection.begun is not None and connection.begun.how in (How.STATEMENT, How.ALEMBIC) and not is_nested:
            connection.end()  # an error at run time, but it is the words that count
        connection.begin(How.CONNECTION, made.site)
        return Transaction(connection)
    elif name in _ENDS:
        connection.end()
    elif name == "in_transaction":
        connection.is_checked = True
        if connection.given and connection.begun is None and made.walk.choices.pick():
            connection.begun = Begun(How.GIVEN, made.site)
        return Const(connection.begun is not None)
    elif name == "get_transaction":
        return Transaction(connection) if connection.begun is not None else Const(None)
    elif name == "execution_options":
        if engines.is_autocommit(made.arguments.named.get("isolation_level")):
            connection.autocommit = made.site
        return connection
    elif name == "run_sync":
        return _run_sync(connection, made)
    return Value()


def _run_sync(connection: Connection, made: Call) -> Value:
    function, *others = made.arguments.positional or [Value()]
    if isinstance(function, Function):
        return made.walk.invoke(function, replace(made.arguments, positional=[connection, *others]))
    if (isinstance(function, Ref) and function.last in _DDL) or _words(made).rpartition(".")[2] in _DDL:
        send(made, connection, "", made.receiver)
    return Value()


def _on_session(session: Session, name: str, made: Call) -> Value:
    if session.connection is None:
        session.connection = Connection(engine=session.engine)
    if name == "connection":
        session.connection.begin(How.SESSION, made.site)
        return session.connection
    if name in SENDS:
        session.connection.begin(How.SESSION, made.site)
        send(made, session.connection, sql_of(made.arguments), made.receiver)
    elif name in _ENDS:
        session.connection.end()
    elif name in _BEGINS:
        return Manager(session)
    elif name == "get_bind":
        return session.engine or Value()
    return Value()


def _on_text(const: Const, text: str, name: str, made: Call) -> Value:
    """Return what a text's method makes of it, and of a URL, as far as it is one."""
    given = made.arguments.positional
    words = [each.value for each in given if isinstance(each, Const)]
    if name == "replace" and len(words) == 2 and all(isinstance(each, str) for each in words):
        return replace(const, value=text.replace(str(words[0]), str(words[1])))
    if name in ("strip", "rstrip", "lstrip", "render_as_string", "encode", "decode", "unquote"):
        return replace(const)
    if name == "set":
        driver = made.arguments.named.get("drivername")
        if isinstance(driver, Const) and set(made.arguments.named) == {"drivername"} and "://" in text:
            return replace(const, value=f"{driver.value}://{text.partition('://')[2]}")
        return Value()
    if name == "format":
        return replace(const, value="".join(_filled(text)))
    return Value()


def _filled(text: str) -> list[str]:
    parts = text.split("{")
    return [parts[0], *(UNKNOWN + part.partition("}")[2] for part in parts[1:])]


def _on_items(items: Items, name: str, made: Call) -> Value:
    given = made.arguments.positional
    key = given[0].value if given and isinstance(given[0], Const) else None
    if name in ("get", "pop", "setdefault") and isinstance(key, str):
        default = given[1] if len(given) > 1 else Const(None)
        found = items.items.get(key, Value() if items.is_open else default)
        if name == "setdefault":
            items.items.setdefault(key, default)
        elif name == "pop":
            items.items.pop(key, None)
        return found
    if name == "copy":
        return Items(dict(items.items), items.is_open)
    if name == "update":
        first = given[0] if given else Items({})
        items.items.update({**(first.items if isinstance(first, Items) else {}), **made.arguments.named})
        items.is_open |= not isinstance(first, Items) or first.is_open or made.arguments.is_open
    return Value()


def _on_unknown(receiver: Value, name: str, made: Call) -> Value:
    """Return what a method of something not known returns: it may be an engine, a connection or a session."""
    if name in ("enter_context", "enter_async_context") and made.arguments.positional:
        return made.walk.enter(made.arguments.positional[0])[0]
    if name == "connect":
        return Connection()
    if name == "connection" and made.receiver.rpartition(".")[2].lower().endswith("session"):
        session = receiver.attributes.setdefault("\0session", Session())
        assert isinstance(session, Session)
        return _on_session(session, name, made)
    if name in _BEGINS:
        itself, opened = connection_of(receiver), Connection()
        itself.begin(How.CONNECTION, made.site)
        opened.begin(How.ENGINE, made.site)
        return Transaction(itself, yields=opened)
    if name in SENDS | _ENDS | {"in_transaction", "execution_options", "run_sync", "get_transaction"}:
        found = _on_connection(connection_of(receiver), name, made)
        return receiver if isinstance(found, Connection) else found
    return _passed(made, name)


def _passed(made: Call, name: str) -> Value:
    """Return what a function that is not read returns; some run the function or use the connection they are given."""
    given = [*made.arguments.positional, *made.arguments.named.values()]
    if name in _RUNNERS:
        for number, each in enumerate(given):
            if isinstance(each, Function):
                made.walk.invoke(each, Arguments(given[number + 1 :], {}, is_open=True))
            elif isinstance(each, Paused):
                made.walk.enter(each)
    connections = [each for each in given if isinstance(each, Connection)]
    if name in _DDL and connections:
        send(made, connections[0], "", _keyword(made, "bind") or _words(made))
    return Value()


def _keyword(made: Call, name: str) -> str:
    node = made.site.node
    found = [each.value for each in node.keywords if each.arg == name] if isinstance(node, ast.Call) else []
    return made.site.source.text(found[0]) if found else ""
