"""What expressions stand for: texts as far as they are known, and whether conditions hold."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from dbtune.migration.doctor.source import Site
from dbtune.migration.doctor.values import (
    UNKNOWN,
    Connection,
    Const,
    Engine,
    Function,
    Inspector,
    Items,
    Module,
    Ref,
    Series,
    Session,
    Value,
)

if TYPE_CHECKING:
    from dbtune.migration.doctor.names import Scope
    from dbtune.migration.doctor.walk import Walk

CONFIG = "alembic.context.config"
"""The full name of Alembic's Config in env.py."""


def value(walk: Walk, node: ast.expr, scope: Scope) -> Value:
    """Return what an expression stands for, and note what it does."""
    match node:
        case ast.Constant(value=constant):
            return Const(constant, Site(scope.source, node))
        case ast.Name(id=name):
            return _name(walk, name, scope)
        case ast.Attribute(value=owner, attr=attr):
            return attribute(walk, walk.value(owner, scope), attr)
        case ast.Subscript(value=owner, slice=key):
            return _item(walk, walk.value(owner, scope), walk.value(key, scope))
        case ast.Await(value=awaited):
            return walk.value(awaited, scope)
        case ast.NamedExpr(target=target, value=given):
            found = walk.value(given, scope)
            walk.assign(target, found, scope)
            return found
        case ast.JoinedStr(values=parts):
            return Const("".join(_text(walk.value(part, scope)) for part in parts), Site(scope.source, node))
        case ast.FormattedValue(value=inner):
            return walk.value(inner, scope)
        case ast.BinOp(left=left, op=op, right=right):
            return sum_of(walk.value(left, scope), op, walk.value(right, scope))
        case ast.BoolOp():
            return _first(walk, node, scope)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return walk.value(body if walk.truth(test, scope) else orelse, scope)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compared(walk.value(left, scope), op, walk.value(right, scope))
        case ast.Dict():
            return _dict(walk, node, scope)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return Series([walk.value(each, scope) for each in elements])
        case ast.Lambda():
            return Function(node, scope)
        case ast.Yield(value=given):
            return walk.yielded(walk.value(given, scope) if given is not None else Const(None))
        case ast.UnaryOp(operand=operand):
            return _negated(node, walk.value(operand, scope))
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
            for generator in node.generators:
                walk.value(generator.iter, scope)
                walk.assign(generator.target, Value(), scope)
            walk.value(element, scope)
            return Value()
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.expr):
            walk.value(each, scope)
    return Value()


def truth(found: Value) -> bool | None:
    """Return whether a value is true; None where that is not known."""
    match found:
        case Const(value=str() as text):
            return None if text.strip(UNKNOWN) == "" and text else bool(text)
        case Const(value=constant):
            return bool(constant)
        case Items(items=items, is_open=is_open):
            return True if items else None if is_open else False
        case Series(items=several):
            return bool(several)
        case Engine() | Connection() | Function() | Session() | Inspector():
            return True
    return True if found.given else None


def attribute(walk: Walk, owner: Value, name: str) -> Value:
    """Return what an attribute stands for; the same each time, until another is set."""
    if name in owner.attributes:
        return owner.attributes[name]
    made: Value | None = None
    match owner:
        case Module():
            made = walk.member(owner, name)
        case Ref(name="alembic.context.config") if name == "config_ini_section":
            made = Const(walk.settings.main)
        case Ref(name="alembic.context") if name in ("bind", "connection", "impl"):
            made = walk.configured.connection if walk.configured is not None else None
            return made or Value()
        case Ref(name=full):
            made = Ref(f"{full}.{name}")
        case Engine(url=url) if name == "url" and url is not None:
            return url
        case Engine() if name in ("sync_engine", "engine"):
            return owner
        case Connection(engine=engine) if name == "engine" and engine is not None:
            return engine
        case Connection() if name == "sync_connection":
            return owner
        case Connection() if name == "dialect":
            made = Inspector(owner)
        case Session(engine=engine) if name == "bind" and engine is not None:
            return engine
    return owner.attributes.setdefault(name, made or Value())


def sum_of(left: Value, op: ast.operator, right: Value) -> Value:
    """Return what an operator makes of two values: texts are joined, dicts merged."""
    if isinstance(op, ast.Add) and isinstance(left, Const) and isinstance(left.value, str):
        return Const(left.value + _text(right), left.site)
    if isinstance(op, ast.Add) and isinstance(right, Const) and isinstance(right.value, str):
        return Const(_text(left) + right.value, right.site)
    if isinstance(op, ast.BitOr) and isinstance(left, Items) and isinstance(right, Items):
        return Items({**left.items, **right.items}, left.is_open or right.is_open)
    if isinstance(op, ast.Mod) and isinstance(left, Const) and isinstance(left.value, str):
        return Const(left.value.partition("%")[0] + UNKNOWN, left.site)
    return Value()


def _text(found: Value) -> str:
    return str(found.value) if isinstance(found, Const) else UNKNOWN


def _name(walk: Walk, name: str, scope: Scope) -> Value:
    found = walk.lookup(name, scope)
    if found is None:
        found = scope.module.values[name] = Ref(name)
    return found


def _item(walk: Walk, owner: Value, key: Value) -> Value:
    if isinstance(owner, Ref) and owner.name == f"{CONFIG}.attributes":
        return walk.given.setdefault(_text(key), Value(given=True))
    if not isinstance(key, Const):
        return Value()
    if isinstance(owner, Items) and isinstance(key.value, str):
        return owner.items.setdefault(key.value, Value())
    if isinstance(owner, Series) and isinstance(key.value, int) and -len(owner.items) <= key.value < len(owner.items):
        return owner.items[key.value]
    return owner.attributes.setdefault(f"[{key.value!r}]", Value())


def _first(walk: Walk, node: ast.BoolOp, scope: Scope) -> Value:
    """Return the operand that ``and`` or ``or`` stops at."""
    stops = isinstance(node.op, ast.Or)
    for each in node.values[:-1]:
        found = walk.value(each, scope)
        known = truth(found)
        if (walk.fact(each, scope) if known is None else known) == stops:
            return found
    return walk.value(node.values[-1], scope)


def _compared(left: Value, op: ast.cmpop, right: Value) -> Value:
    if not isinstance(right, Const) or (isinstance(left, Const) and UNKNOWN in _text(left) + _text(right)):
        return Value()
    if isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
        if isinstance(left, Const):
            return Const((left.value == right.value) == isinstance(op, ast.Is | ast.Eq))
        if right.value is None and truth(left):
            return Const(isinstance(op, ast.IsNot | ast.NotEq))
    return Value()


def _negated(node: ast.UnaryOp, found: Value) -> Value:
    known = truth(found) if isinstance(node.op, ast.Not) else None
    return Value() if known is None else Const(not known)


def _dict(walk: Walk, node: ast.Dict, scope: Scope) -> Value:
    made = Items({})
    for key, each in zip(node.keys, node.values, strict=True):
        found = walk.value(each, scope)
        if key is None:
            made.items.update(found.items if isinstance(found, Items) else {})
            made.is_open |= not isinstance(found, Items) or found.is_open
            continue
        name = walk.value(key, scope)
        if isinstance(name, Const) and isinstance(name.value, str):
            made.items[name.value] = found
        else:
            made.is_open = True
    return made
