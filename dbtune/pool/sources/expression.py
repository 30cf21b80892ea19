"""What a Python expression is worth, as far as its text tells: literals, arithmetic, environment, names."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dbtune.pool.fleet import Fact

_DEEPEST = 40
_LARGEST = 10**12
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*$")
_CORES = {"cpu_count", "process_cpu_count", "sched_getaffinity"}


class Unknown(Exception):
    """The text does not tell, in words."""


@dataclass(frozen=True, slots=True)
class Known:
    """A value, where it is from if not from the expression itself, and whether it depends on the number of cores."""

    value: object
    origin: str | None = None
    by_cores: bool = False


Look = Callable[[ast.expr, int], Known]
"""How to find out about a name or an attribute; the number is how deep the search is already."""


def _nowhere(node: ast.expr, depth: int) -> Known:
    raise Unknown(f"{spelled(node)} is set elsewhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What expressions are evaluated in: the environment's variables, the cores, and how names are looked up.

    ``place`` is the file that the expression is in.
    """

    environment: Mapping[str, Fact[str]] = field(default_factory=dict)
    cores: int | None = None
    look: Look = _nowhere
    place: str = ""

    def at(self, node: ast.AST) -> str:
        """Return the place of a node as ``file:line``."""
        return f"{self.place}:{getattr(node, 'lineno', 1)}"


def spelled(node: ast.AST) -> str:
    """Return an expression as text, shortened; for names and calls, never for strings, which may be secret."""
    if isinstance(node, ast.Constant):
        return "a value"
    try:
        text = ast.unparse(_without_strings(node))
    except (RecursionError, ValueError):
        return "an expression"
    return text if len(text) <= 60 else text[:57] + "…"


class _Hide(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        is_secret = isinstance(node.value, (str, bytes)) and not _VARIABLE.match(str(node.value))
        return ast.copy_location(ast.Name(id="…", ctx=ast.Load()), node) if is_secret else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.copy_location(ast.Name(id="…", ctx=ast.Load()), node)


def _without_strings(node: ast.AST) -> ast.AST:
    import copy

    return _Hide().visit(copy.deepcopy(node))  # type: ignore[no-any-return]


def evaluate(node: ast.expr, setting: Setting, depth: int = 0) -> Known:
    """Return what an expression is worth.

    :raises Unknown: its text does not tell.
    """
    if depth > _DEEPEST:
        raise Unknown("it leads too far")
    match node:
        case ast.Constant():
            return Known(node.value)
        case ast.Dict() | ast.List() | ast.Tuple() | ast.Set():
            return Known(node)  # its parts are looked at when they are wanted
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() as op):
            return _unary(op, evaluate(node.operand, setting, depth + 1))
        case ast.BinOp():
            return _binary(node, setting, depth)
        case ast.BoolOp():
            return _either(node, setting, depth)
        case ast.IfExp():
            return _choice(node, setting, depth)
        case ast.Call():
            return _call(node, setting, depth)
        case ast.Subscript() if _is_environ(node.value):
            return _variable(_text(node.slice), None, node, setting, depth)
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return setting.look(node, depth + 1)
        case ast.NamedExpr():
            return evaluate(node.value, setting, depth + 1)
    raise Unknown(f"{spelled(node)} cannot be told without running it")


def _unary(op: ast.unaryop, known: Known) -> Known:
    if isinstance(op, ast.Not):
        return replace(known, value=not known.value)
    number = _number(known.value)
    return replace(known, value=-number if isinstance(op, ast.USub) else number)


def _binary(node: ast.BinOp, setting: Setting, depth: int) -> Known:
    left, right = evaluate(node.left, setting, depth + 1), evaluate(node.right, setting, depth + 1)
    if isinstance(node.op, ast.BitOr) and isinstance(left.value, ast.Dict) and isinstance(right.value, ast.Dict):
        joined = ast.Dict(keys=[*left.value.keys, *right.value.keys], values=[*left.value.values, *right.value.values])
        return Known(ast.copy_location(joined, node))
    a, b = _number(left.value), _number(right.value)
    origin = "; ".join(dict.fromkeys(each.origin for each in (left, right) if each.origin)) or None
    try:
        match node.op:
            case ast.Add():
                value = a + b
            case ast.Sub():
                value = a - b
            case ast.Mult():
                value = a * b
            case ast.Div():
                value = a / b
            case ast.FloorDiv():
                value = a // b
            case ast.Mod():
                value = a % b
            case _:
                raise Unknown(f"{spelled(node)} cannot be told without running it")
    except (ZeroDivisionError, OverflowError):
        raise Unknown(f"{spelled(node)} has no value") from None
    if abs(value) > _LARGEST:
        raise Unknown(f"{spelled(node)} is absurdly large")
    return Known(value, origin, left.by_cores or right.by_cores)


def _either(node: ast.BoolOp, setting: Setting, depth: int) -> Known:
    wanted = isinstance(node.op, ast.Or)
    known = Known(None)
    is_default = False
    for number, each in enumerate(node.values):
        try:
            known = evaluate(each, setting, depth + 1)
        except Unknown:
            if not wanted or number == len(node.values) - 1:
                raise
            is_default = True  # whatever it may be, what follows "or" is its default
            continue
        if bool(known.value) is wanted:
            break
    if is_default and known.origin is None:
        return replace(known, origin=f"{setting.at(node)}, default of what the environment says")
    return known


def _choice(node: ast.IfExp, setting: Setting, depth: int) -> Known:
    try:
        chosen = node.body if evaluate(node.test, setting, depth + 1).value else node.orelse
        return evaluate(chosen, setting, depth + 1)
    except Unknown:
        return largest([node.body, node.orelse], setting, depth)


def largest(nodes: list[ast.expr], setting: Setting, depth: int) -> Known:
    """Return the largest number that expressions are worth, or the one value that they agree upon.

    :raises Unknown: none can be told.
    """
    found: list[Known] = []
    reason = Unknown("nothing is said")
    for each in nodes:
        try:
            found.append(evaluate(each, setting, depth + 1))
        except Unknown as error:
            reason = error
    if not found:
        raise reason
    numbers = [each for each in found if isinstance(each.value, (int, float)) and not isinstance(each.value, bool)]
    if not numbers:
        return found[0]
    best = max(numbers, key=lambda each: _number(each.value))
    if len({each.value for each in numbers}) > 1:
        told = "the largest of " + ", ".join(str(each.value) for each in numbers)
        best = replace(best, origin=f"{best.origin}, {told}" if best.origin else told)
    return best


def _call(node: ast.Call, setting: Setting, depth: int) -> Known:
    name = _last(node.func)
    given = node.args
    if _counts_cores(node):
        cores = setting.cores if setting.cores is not None else 1
        return Known(cores, f"with {cores} core{'s' if cores != 1 else ''}", by_cores=True)
    if name in ("getenv",) or (name == "get" and isinstance(node.func, ast.Attribute) and _is_environ(node.func.value)):
        return _variable(_text(given[0]) if given else None, _default(node), node, setting, depth)
    if name in ("int", "float", "str", "bool", "abs", "round", "ceil", "floor") and given:
        known = evaluate(given[0], setting, depth + 1)
        return replace(known, value=_cast(name, known.value))
    if name in ("min", "max") and len(given) > 1:
        each = [evaluate(argument, setting, depth + 1) for argument in given]
        value = (min if name == "min" else max)(_number(known.value) for known in each)
        origin = "; ".join(dict.fromkeys(known.origin for known in each if known.origin)) or None
        return Known(value, origin, any(known.by_cores for known in each))
    if name == "dict" and not given and all(keyword.arg for keyword in node.keywords):
        keys: list[ast.expr | None] = [ast.Constant(str(keyword.arg)) for keyword in node.keywords]
        made = ast.Dict(keys=keys, values=[keyword.value for keyword in node.keywords])
        return Known(ast.copy_location(made, node))
    if name == "Field":
        default = _keyword(node, "default") or (given[0] if given else None)
        if default is not None:
            return evaluate(default, setting, depth + 1)
    variable = _text(given[0]) if given else None
    if variable is not None and _VARIABLE.match(variable) and _asks_environment(node.func):
        return _variable(variable, _default(node), node, setting, depth)
    if name == "get" and variable is not None and isinstance(node.func, ast.Attribute):
        try:
            wanted = ast.copy_location(ast.Subscript(node.func.value, ast.Constant(variable), ast.Load()), node)
            return setting.look(wanted, depth + 1)
        except Unknown:
            if (default := _default(node)) is not None:
                return evaluate(default, setting, depth + 1)
            raise
    raise Unknown(f"{spelled(node.func)}(…) cannot be told without running it")


def _counts_cores(node: ast.Call) -> bool:
    """Return whether a call is os.cpu_count() or the like, or len(os.sched_getaffinity(0))."""
    if _last(node.func) == "len":
        return len(node.args) == 1 and isinstance(node.args[0], ast.Call) and _counts_cores(node.args[0])
    return _last(node.func) in _CORES


def _asks_environment(function: ast.expr) -> bool:
    """Return whether a function's name tells that it reads the environment: env, env.int, config, _env_int."""
    words = [each.lower() for each in _parts(function)]
    return any("env" in each for each in words) or words[-1:] in (["config"], ["setting"], ["get_setting"])


def _variable(name: str | None, default: ast.expr | None, node: ast.AST, setting: Setting, depth: int) -> Known:
    if name is None:
        raise Unknown("a variable whose name is computed")
    if (found := setting.environment.get(name)) is not None:
        return Known(found.value, f"{name}, {found.source}")
    if default is None:
        raise Unknown(f"variable {name} is not set in what was read")
    known = evaluate(default, setting, depth + 1)
    told = f"{setting.at(node)}, default of {name}"
    return replace(known, origin=told if known.origin is None else f"{told}; {known.origin}")


def _default(node: ast.Call) -> ast.expr | None:
    return _keyword(node, "default") or (node.args[1] if len(node.args) > 1 else None)


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in node.keywords if each.arg == name), None)


def _cast(name: str, value: object) -> object:
    match name:
        case "str":
            return str(value)
        case "bool":
            return bool(value)
        case "float":
            return float(_number(value))
        case "ceil":
            return -int(-_number(value) // 1)
        case "floor" | "int":
            return int(_number(value) // 1)
        case "round":
            return round(_number(value))
    return abs(_number(value))


def _number(value: object) -> int | float:
    found = number(value)
    if found is None:
        raise Unknown("it is not a number")
    return found


def number(value: object) -> int | float | None:
    """Return a number, also of text that spells one; None where it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return value if value == value and abs(value) <= _LARGEST else None
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,12}(\.\d{1,12})?", value.strip()):
        return float(value) if "." in value else int(value)
    return None


def _is_environ(node: ast.expr) -> bool:
    return _last(node) == "environ"


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _parts(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id, *parts] if isinstance(node, ast.Name) else parts


def _last(node: ast.expr) -> str | None:
    parts = _parts(node)
    return parts[-1] if parts else None


def dotted(node: ast.expr) -> str | None:
    """Return a name or attribute as ``a.b.c``, None where it is something else."""
    inner = node
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return ".".join(_parts(node)) if isinstance(inner, ast.Name) else None
