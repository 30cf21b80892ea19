"""One way through env.py, statement by statement. Nothing is executed: values are only known as far as they are."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from dbtune.migration.doctor import calls, expressions
from dbtune.migration.doctor.arguments import Arguments
from dbtune.migration.doctor.choices import Choices
from dbtune.migration.doctor.names import Modules, Scope, below, binding, has_yield
from dbtune.migration.doctor.settings import Settings
from dbtune.migration.doctor.signals import Break, Continue, Raised, Return, Signal, Through
from dbtune.migration.doctor.source import Site, Source
from dbtune.migration.doctor.trace import Configured, Way
from dbtune.migration.doctor.values import (
    Connection,
    Const,
    Function,
    How,
    Items,
    Logical,
    Manager,
    Module,
    Paused,
    Ref,
    Series,
    Session,
    Transaction,
    Value,
)

_DEEPEST = 25
_RELEVANT = re.compile(r"context|run_migrations|connect|begin|engine|execute|url|run_sync", re.I)


class Walk:
    """One way: what is not known of conditions, ``choices`` decides. What is seen goes into ``way``."""

    def __init__(self, settings: Settings, modules: Modules, choices: Choices, way: Way) -> None:
        self.settings = settings
        self.modules = modules
        self.choices = choices
        self.way = way
        self.options: dict[tuple[str, str], Value] = {}
        self.given: dict[str, Value] = {}
        self.configured: Configured | None = None
        self.inside = 0
        self._facts: dict[tuple[object, ...], bool] = {}
        self._kept: list[Value] = []
        self._scopes: dict[Path, Scope] = {}
        self._running: list[Function] = []
        self._hooks: list[Callable[[Value], None]] = []

    def run(self, source: Source) -> Scope:
        """Go through a file from its top to where it ends, and return its names."""
        scope = Scope(source)
        with contextlib.suppress(Signal):
            self.block(source.tree.body, scope)
        return scope

    def attempt(self, function: Function) -> None:
        """Go through a function that nothing was seen to call; nothing is known of its arguments."""
        with contextlib.suppress(Signal):
            self.invoke(function, Arguments([], {}, is_open=True))

    # statements

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> None:
        """Go through statements."""
        for statement in statements:
            self.statement(statement, scope)

    def statement(self, node: ast.stmt, scope: Scope) -> None:
        """Go through one statement."""
        match node:
            case ast.Expr(value=value):
                self.value(value, scope)
            case ast.Assign(targets=targets, value=value):
                found = self.value(value, scope)
                for target in targets:
                    self.assign(target, found, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.value(value, scope), scope)
            case ast.AugAssign(target=ast.Name() as target, op=op, value=value):
                self.assign(target, expressions.sum_of(self.value(target, scope), op, self.value(value, scope)), scope)
            case ast.Return(value=value):
                raise Return(self.value(value, scope) if value is not None else Const(None))
            case ast.If(test=test, body=body, orelse=orelse):
                self.block(body if self.truth(test, scope) else orelse, scope)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, scope)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                self._with(items, body, scope)
            case ast.Try() | ast.TryStar():
                self._try(node, scope)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                scope.set(name, Function(node, scope))
            case ast.ClassDef(name=name):
                scope.set(name, Value())
            case ast.Import() | ast.ImportFrom():
                self._import(node, scope)
            case ast.Raise():
                raise Raised
            case ast.Global(names=names):
                scope.shared.update(names)
            case ast.Match(subject=subject, cases=cases):
                self.value(subject, scope)
                self.block(cases[self.choices.pick(len(cases))].body, scope)
            case ast.Assert(test=test):
                self.value(test, scope)
            case ast.Break():
                raise Break
            case ast.Continue():
                raise Continue

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, scope: Scope) -> None:
        """Go through the body once: that shows what one round does, and whether another one would follow."""
        if isinstance(node, ast.While):
            if not self.truth(node.test, scope):
                return
        else:
            found = self.value(node.iter, scope)
            first = found.items[0] if isinstance(found, Series) and found.items else Value()
            self.assign(node.target, first, scope)
        before = len(self.way.ran)
        try:
            self.block(node.body, scope)
        except Break:
            return
        except Continue:
            pass
        if len(self.way.ran) > before:
            self.way.repeats.append(Site(scope.source, node))
        if isinstance(node, ast.While) and not isinstance(node.test, ast.Constant):
            self.value(node.test, scope)
        self.block(node.orelse, scope)

    def _try(self, node: ast.Try | ast.TryStar, scope: Scope) -> None:
        """Go through the body, or through a handler that goes on, as if the body had failed at its first statement."""
        goes_on = [handler for handler in node.handlers if not isinstance(handler.body[-1], ast.Raise)]
        chosen = self.choices.pick(len(goes_on) + 1) if goes_on else 0
        try:
            if chosen:
                self._handle(goes_on[chosen - 1], scope)
                return
            try:
                self.block(node.body, scope)
            except Raised:
                if not node.handlers:
                    raise
                self._handle(node.handlers[0], scope)
                return
            self.block(node.orelse, scope)
        finally:
            self.block(node.finalbody, scope)

    def _handle(self, handler: ast.ExceptHandler, scope: Scope) -> None:
        if handler.name is not None:
            scope.set(handler.name, Value())
        self.block(handler.body, scope)

    def _with(self, items: Sequence[ast.withitem], body: Sequence[ast.stmt], scope: Scope) -> None:
        if not items:
            self.block(body, scope)
            return
        first, *others = items

        def within(value: Value) -> None:
            if first.optional_vars is not None:
                self.assign(first.optional_vars, value, scope)
            self._with(others, body, scope)

        manager = self.value(first.context_expr, scope)
        if isinstance(manager, Paused):
            self._enter_generator(manager, within)
            return
        value, leave = self.enter(manager)
        try:
            within(value)
        finally:
            leave()

    def _enter_generator(self, paused: Paused, within: Callable[[Value], None]) -> None:
        entered = False

        def hook(value: Value) -> None:
            nonlocal entered
            entered = True
            try:
                within(value)
            except Signal as signal:
                raise Through(signal) from None

        self._hooks.append(hook)
        try:
            self.block(paused.function.node.body, paused.scope)  # type: ignore[arg-type]  # a lambda has no yield
        except Through as through:
            raise through.signal from None
        except Return:
            pass
        finally:
            self._hooks.pop()
        if not entered:
            within(Value())

    def enter(self, manager: Value) -> tuple[Value, Callable[[], None]]:
        """Enter a context manager, and return what it gives and what leaving it does."""
        match manager:
            case Transaction(connection=connection, yields=yields):

                def leave() -> None:
                    connection.end()
                    if isinstance(yields, Connection):
                        yields.end()

                return yields or manager, leave
            case Logical():
                return manager, self._logical()
            case Connection():
                return manager, manager.end
            case Manager(value=value):
                return value, lambda: None
            case Session():
                return manager, lambda: None
        return Value(), lambda: None

    def _logical(self) -> Callable[[], None]:
        """Enter Alembic's own transaction."""
        connection = self.configured.connection if self.configured is not None else None
        self.inside += 1

        def leave() -> None:
            self.inside -= 1
            if connection is not None and connection.begun is not None and connection.begun.how in (
                How.ALEMBIC, How.STATEMENT
            ):  # fmt: skip
                connection.end()

        return leave

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            scope.set(name, self._imported(node, alias, scope.source.path))

    def _imported(self, node: ast.Import | ast.ImportFrom, alias: ast.alias, importer: Path) -> Value:
        if isinstance(node, ast.Import):
            wanted = alias.name if alias.asname else alias.name.partition(".")[0]
            path = self.modules.find(wanted, 0, importer)
            return Module(path) if path is not None else Ref(wanted)
        path = self.modules.find(node.module or "", node.level, importer)
        if path is None:
            return Ref(f"{node.module or ''}.{alias.name}")
        return self.member(Module(path), alias.name) or Ref(f"{node.module or path.stem}.{alias.name}")

    def member(self, module: Module, name: str) -> Value | None:
        """Return what a name of a module of the project's own stands for."""
        source = self.modules.source(module.path)
        if source is not None:
            scope = self._scopes.setdefault(source.path, Scope(source, is_lazy=True))
            found = self.lookup(name, scope)
            if found is not None:
                return found
        path = below(module.path, name) if module.path.is_dir() else None
        return Module(path) if path is not None else None

    # names

    def lookup(self, name: str, scope: Scope | None) -> Value | None:
        """Return what a name stands for, and None where nobody gave it a value."""
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            if scope.is_lazy and (node := binding(scope.source.tree, name)) is not None:
                scope.values[name] = Value()  # for a module that, in the end, imports from itself
                with contextlib.suppress(Signal):
                    self.statement(node, scope)
                return scope.values[name]
            scope = scope.above
        return None

    def assign(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Let a target stand for a value."""
        match target:
            case ast.Name(id=name):
                scope.set(name, value)
            case ast.Attribute(value=owner, attr=name):
                self.value(owner, scope).attributes[name] = value
            case ast.Subscript(value=owner, slice=key):
                holder, at = self.value(owner, scope), self.value(key, scope)
                if isinstance(holder, Items) and isinstance(at, Const) and isinstance(at.value, str):
                    holder.items[at.value] = value
                elif isinstance(at, Const):
                    holder.attributes[f"[{at.value!r}]"] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                known = value.items if isinstance(value, Series) and len(value.items) == len(targets) else None
                for number, each in enumerate(targets):
                    self.assign(each, known[number] if known else Value(), scope)
            case ast.Starred(value=inner):
                self.assign(inner, Value(), scope)

    # values and truths

    def value(self, node: ast.expr, scope: Scope) -> Value:
        """Return what an expression stands for, and note what it does."""
        if isinstance(node, ast.Call):
            return calls.call(self, node, scope)
        return expressions.value(self, node, scope)

    def truth(self, node: ast.expr, scope: Scope) -> bool:
        """Return whether a condition holds; where nobody knows, one after the other, but the same on one way."""
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self.truth(each, scope) for each in values)
            case ast.BoolOp(op=ast.Or(), values=values):
                return any(self.truth(each, scope) for each in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.truth(operand, scope)
        known = expressions.truth(self.value(node, scope))
        return self.fact(node, scope) if known is None else known

    def fact(self, node: ast.expr, scope: Scope) -> bool:
        """Return what was picked for a condition on this way; the same for the same words about the same values."""
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        values = [found for name in sorted(names) if (found := self.lookup(name, scope)) is not None]
        key = (ast.dump(node), *map(id, values))
        if key not in self._facts:
            self._kept += values
            self._facts[key] = self.choices.pick() == 0
        return self._facts[key]

    # functions

    def invoke(self, function: Function, arguments: Arguments) -> Value:
        """Go through a function of a file that is read, and return what it returns."""
        source = function.scope.source
        if function.scope.module.is_lazy and not _RELEVANT.search(source.text(function.node)):
            return Value()
        if len(self._running) >= _DEEPEST or any(each.node is function.node for each in self._running):
            return Value()
        scope = Scope(source, function.scope)
        calls.bind(self, function, arguments, scope)
        if isinstance(function.node, ast.Lambda):
            return self.value(function.node.body, scope)
        if has_yield(function.node):
            return Paused(function, scope)
        self._running.append(function)
        try:
            self.block(function.node.body, scope)
        except Return as returned:
            return returned.value
        finally:
            self._running.pop()
        return Const(None)

    def yielded(self, value: Value) -> Value:
        """Go through what a with block does while the generator that it was entered by waits."""
        if self._hooks:
            hook = self._hooks.pop()
            try:
                hook(value)
            finally:
                self._hooks.append(hook)
        return Value()
