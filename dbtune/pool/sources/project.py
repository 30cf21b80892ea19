"""All Python files of a folder, and what a name in one of them is worth."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact
from dbtune.pool.sources import expression
from dbtune.pool.sources.expression import Known, Setting, Unknown, dotted, evaluate
from dbtune.pool.sources.module import Assigned, Function, Module, NotPython, Place, parse
from dbtune.pool.sources.tree import Tree

_DEEPEST = 20
_MOST_CALLERS = 20
_MOST_STEPS = 500
_ASIDE = {"test", "tests", "testing", "scripts", "bin", "tools", "docs", "examples", "benchmarks", "notebooks"}


def is_aside(path: str) -> bool:
    """Return whether a file is not part of what is deployed, by its place: tests, scripts, documentation."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    return bool(_ASIDE & {part.lower() for part in parts[:-1]}) or name.startswith(("test_", "conftest")) or (
        name.endswith(("_test.py", "_tests.py"))
    )  # fmt: skip


@dataclass(slots=True)
class Project:
    """The Python files of a tree; each is parsed when it is first wanted.

    ``cores`` are those of the machines that the services run on, None where nobody said.
    """

    tree: Tree
    cores: int | None = None
    _modules: dict[str, Module | None] = field(default_factory=dict)
    _active: set[str] = field(default_factory=set)
    _steps: int = 0

    @property
    def paths(self) -> list[str]:
        """Return the Python files."""
        return list(self.tree.ending(".py"))

    def module(self, path: str) -> Module | None:
        """Return a parsed file, None where it cannot be parsed, which is told once as a problem."""
        if path not in self._modules:
            text = self.tree.text(path)
            self._modules[path] = None
            if text is not None:
                try:
                    self._modules[path] = parse(path, text)
                except NotPython as error:
                    self.tree.tell(path, str(error), error.line)
        return self._modules[path]

    def mentioning(self, *words: str) -> Iterator[Module]:
        """Yield the files in which one of the words is, tests and scripts left out."""
        for path in self.paths:
            if is_aside(path):
                continue
            text = self.tree.text(path)
            if text is not None and any(word in text for word in words) and (found := self.module(path)) is not None:
                yield found

    def value(self, node: ast.expr, module: Module, place: Place, environment: Mapping[str, Fact[str]]) -> Known:
        """Return what an expression in a file is worth.

        :raises Unknown: the text does not tell.
        """
        self._steps = 0
        return evaluate(node, self._setting(module, place, environment))

    def entries(
        self, node: ast.expr, module: Module, place: Place, environment: Mapping[str, Fact[str]], depth: int = 0
    ) -> dict[str, ast.expr]:
        """Return the entries of a dictionary that an expression stands for, as far as its text tells.

        :raises Unknown: it is none, or is computed.
        """
        if depth > _DEEPEST:
            raise Unknown("it leads too far")
        known = self.value(node, module, place, environment)
        if not isinstance(known.value, ast.Dict):
            raise Unknown("it is not a dictionary that is written out")
        found: dict[str, ast.expr] = {}
        for key, value in zip(known.value.keys, known.value.values, strict=True):
            if key is None:
                found |= self.entries(value, module, place, environment, depth + 1)
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                found[key.value] = value
        return found

    def _setting(self, module: Module, place: Place, environment: Mapping[str, Fact[str]]) -> Setting:
        def look(node: ast.expr, depth: int) -> Known:
            self._steps += 1
            if depth > _DEEPEST or self._steps > _MOST_STEPS:
                raise Unknown("it leads too far")
            return self._look(node, module, place, environment, depth)

        return Setting(environment=environment, cores=self.cores, look=look, place=module.path)

    def _look(
        self, node: ast.expr, module: Module, place: Place, environment: Mapping[str, Fact[str]], depth: int
    ) -> Known:
        if isinstance(node, ast.Subscript):
            key = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if not isinstance(key, str):
                raise Unknown(f"{expression.spelled(node)} is computed")
            return self._constant(key, environment, depth)
        name = dotted(node)
        if name is None:
            raise Unknown(f"{expression.spelled(node)} cannot be told without running it")
        if name.startswith("self."):
            its = [each for each in module.assigned if each.name == name and each.place.klass is place.klass]
            if its:
                return self._largest([(module, each) for each in its], environment, depth)
        if "." in name:
            return self._constant(name.rpartition(".")[2], environment, depth, via=module.origin(node))
        for function in reversed(place.functions):
            if found := [each for each in module.assigned if each.name == name and function in each.place.functions]:
                return self._largest([(module, each) for each in _plain(found)], environment, depth)
            if (known := self._parameter(name, function, module, environment, depth)) is not None:
                return known
        if found := [each for each in module.assigned if each.name == name and not each.place.functions]:
            return self._largest([(module, each) for each in _plain(found)], environment, depth)
        if name in module.imports:
            origin = module.imports[name]
            return self._constant(origin.rpartition(".")[2], environment, depth, via=origin)
        raise Unknown(f"{name} is set elsewhere")

    def _largest(
        self, found: Sequence[tuple[Module, Assigned]], environment: Mapping[str, Fact[str]], depth: int
    ) -> Known:
        known: list[Known] = []
        reason = Unknown("nothing is said")
        for module, each in found:
            try:
                one = evaluate(each.value, self._setting(module, each.place, environment), depth + 1)
            except Unknown as error:
                reason = error
                continue
            known.append(one if one.origin else replace(one, origin=f"{module.path}:{each.value.lineno}"))
        if not known:
            raise reason
        numbers = [each for each in known if expression.number(each.value) is not None]
        return max(numbers, key=lambda each: expression.number(each.value) or 0) if numbers else known[0]

    def _parameter(
        self, name: str, function: Function, module: Module, environment: Mapping[str, Fact[str]], depth: int
    ) -> Known | None:
        """Return what a parameter is worth, by the calls of its function, else by its default; None: there is none."""
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        names = [each.arg for each in positional]
        if name not in names and name not in {each.arg for each in arguments.kwonlyargs}:
            return None
        given: list[Known] = []
        with self._once(f"{function.name}({name})"):
            for caller, call, place in self._callers(function.name):
                wanted = _argument(call, name, names)
                if wanted is None:
                    continue
                try:
                    known = evaluate(wanted, self._setting(caller, place, environment), depth + 1)
                except Unknown:
                    continue
                given.append(known if known.origin else replace(known, origin=f"{caller.path}:{call.lineno}"))
        if given:
            return max(given, key=lambda each: expression.number(each.value) or 0)
        default = _default(arguments, name)
        if default is None:
            raise Unknown(f"{name} is what {function.name}() is called with")
        known = evaluate(default, self._setting(module, Place(), environment), depth + 1)
        return replace(known, origin=f"{module.path}:{function.lineno}, default of {function.name}({name})")

    def _callers(self, name: str) -> Iterator[tuple[Module, ast.Call, Place]]:
        count = 0
        for module in self.mentioning(f"{name}("):
            for each in module.called:
                called = dotted(each.node.func)
                if called is not None and called.rpartition(".")[2] == name:
                    yield module, each.node, each.place
                    count += 1
                    if count >= _MOST_CALLERS:
                        return

    def _constant(self, name: str, environment: Mapping[str, Fact[str]], depth: int, via: str = "") -> Known:
        """Return what a setting is worth that a file or class of the project assigns, or the environment overrides.

        Classes for tests are left out. Of several the largest is taken.
        """
        found: list[tuple[Module, Assigned]] = []
        for module in self.mentioning(name):
            for each in module.assigned:
                is_named = each.name.rpartition(".")[2] == name and each.key is None and not each.place.functions
                if (is_named or each.key == name) and not _is_for_tests(each):
                    found.append((module, each))
        for module, each in found:
            if (variable := _overriding(module, each, name, environment)) is not None:
                fact = environment[variable]
                return Known(fact.value, f"{variable}, {fact.source}")
        if not found:
            if name in environment:
                return Known(environment[name].value, f"{name}, {environment[name].source}")
            raise Unknown(f"{name} is set nowhere that was read")
        near = [(module, each) for module, each in found if via and _is_module(module.path, via)]
        with self._once(name):
            return self._largest(near or found, environment, depth)

    @contextmanager
    def _once(self, what: str) -> Iterator[None]:
        """Keep a name that refers to itself from being looked up for ever."""
        if what in self._active:
            raise Unknown(f"{what} refers to itself")
        self._active.add(what)
        try:
            yield
        finally:
            self._active.discard(what)


def _plain(found: Sequence[Assigned]) -> Sequence[Assigned]:
    """Return the assignments to the name itself, if there are any, without those to its entries."""
    return [each for each in found if each.key is None] or found


def _is_for_tests(each: Assigned) -> bool:
    return each.place.klass is not None and re.search(r"[Tt]est", each.place.klass.name) is not None


def _is_module(path: str, origin: str) -> bool:
    """Return whether a file is the one that a dotted name is from: config.py of ``config.POOL_SIZE``."""
    stem = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return origin.rpartition(".")[0].lstrip(".") in (stem, stem.rpartition(".")[2])


def _overriding(module: Module, each: Assigned, name: str, environment: Mapping[str, Fact[str]]) -> str | None:
    """Return the variable that overrides a field of a pydantic BaseSettings class, None where none does."""
    klass = each.place.klass
    if klass is None or not any("Settings" in (dotted(base) or "") for base in klass.bases):
        return None
    prefix = ""
    if found := re.search(r"env_prefix\s*[=:]\s*[\"'](\w*)[\"']", ast.get_source_segment(module.text, klass) or ""):
        prefix = found.group(1)
    wanted = {f"{prefix}{name}".lower()}
    if isinstance(each.value, ast.Call):
        wanted |= {
            keyword.value.value.lower()
            for keyword in each.value.keywords
            if keyword.arg in ("alias", "validation_alias", "env")
            and isinstance(keyword.value, ast.Constant)
            and isinstance(keyword.value.value, str)
        }
    return next((variable for variable in environment if variable.lower() in wanted), None)


def _argument(call: ast.Call, name: str, names: list[str]) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    shifted = names[1:] if names[:1] in (["self"], ["cls"]) else names
    at = shifted.index(name) if name in shifted else len(call.args)
    if at >= len(call.args) or any(isinstance(each, ast.Starred) for each in call.args[: at + 1]):
        return None
    return call.args[at]


def _default(arguments: ast.arguments, name: str) -> ast.expr | None:
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :] if arguments.defaults else []
    for each, default in zip(with_default, arguments.defaults, strict=True):
        if each.arg == name:
            return default
    for each, default_or_none in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if each.arg == name:
            return default_or_none
    return None
