"""Edits of env.py, exact to the letter: what is not to be changed stays as it is written."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable

from dbtune.migration.doctor.finding import Edit, applied, inserted
from dbtune.migration.doctor.source import Site, Source
from dbtune.migration.doctor.values import Statement

_LOCK = re.compile(r"(?i)\bpg_advisory_(?:xact_)?lock(_shared)?\b(?=\s*\()")
_LOCAL = re.compile(r"(?i)\bSET\s+LOCAL\b")
_LOCAL_FUNCTION = re.compile(r"(?i)(\bset_config\s*\(.*?,\s*)true(\s*\))")


def replaced(source: Source, node: ast.expr, text: str, *, start: tuple[int, int] | None = None) -> Edit:
    """Return the edit that writes ``text`` in place of an expression, or of what begins at ``start`` and ends with it.

    ``start`` is a line counted from 1 and an offset, as the tree has them.
    """
    line, offset = start or (node.lineno, node.col_offset)
    last = node.end_lineno or node.lineno
    before = source.lines[line - 1][: source.column(line, offset)]
    after = source.lines[last - 1][source.column(last, node.end_col_offset or 0) :]
    return Edit(file=source.path, line=line, last=last, lines=tuple(f"{before}{text}{after}".split("\n")))


def method_renamed(site: Site, name: str) -> Edit | None:
    """Return the edit that calls another method in its place, without arguments."""
    node = site.node
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    return replaced(site.source, node, f"{site.source.text(node.func.value)}.{name}()")


def own_lines(source: Source, node: ast.stmt) -> bool:
    """Return whether a statement has its lines for itself."""
    before = source.lines[node.lineno - 1][: source.column(node.lineno, node.col_offset)]
    last = node.end_lineno or node.lineno
    after = source.lines[last - 1][source.column(last, node.end_col_offset or 0) :].strip()
    return not before.strip() and (not after or after.startswith("#"))


def added_after(source: Source, node: ast.stmt, *lines: str) -> Edit | None:
    """Return the edit that writes lines after a statement, indented as it is; None where that is not possible."""
    if isinstance(node, ast.Return | ast.Raise) or not own_lines(source, node):
        return None
    indent = source.indent(node)
    return inserted(source.path, (node.end_lineno or node.lineno) + 1, *(f"{indent}{line}" for line in lines))


def added_before(source: Source, node: ast.stmt, *lines: str) -> Edit | None:
    """Return the edit that writes lines before a statement, indented as it is; None where that is not possible."""
    if not own_lines(source, node):
        return None
    indent = source.indent(node)
    return inserted(source.path, node.lineno, *(f"{indent}{line}" for line in lines))


def wrapped(source: Source, node: ast.stmt, header: str) -> Edit | None:
    """Return the edit that puts a statement into a block of its own."""
    if not own_lines(source, node):
        return None
    last = node.end_lineno or node.lineno
    inner = tuple(f"    {line}" if line.strip() else line for line in source.lines[node.lineno - 1 : last])
    return Edit(file=source.path, line=node.lineno, last=last, lines=(f"{source.indent(node)}{header}", *inner))


def deleted(source: Source, node: ast.stmt) -> Edit | None:
    """Return the edit that takes a statement away, or leaves ``pass`` where a block would be empty."""
    if not own_lines(source, node):
        return None
    above = source.above(node)
    alone = any(getattr(above, field, None) == [node] for field in ("body", "orelse", "finalbody"))
    lines = (f"{source.indent(node)}pass",) if alone else ()
    return Edit(file=source.path, line=node.lineno, last=node.end_lineno or node.lineno, lines=lines)


def without_item(source: Source, call: ast.expr, inner: Iterable[Edit] = ()) -> Edit | None:
    """Return the edit that takes a context manager out of its with statement; ``inner`` are edits of the block."""
    item = source.above(call)
    block = source.above(item) if isinstance(item, ast.withitem) else None
    if not isinstance(item, ast.withitem) or not isinstance(block, ast.With | ast.AsyncWith):
        return None
    first, last = block.body[0].lineno, block.end_lineno or block.lineno
    if len(block.items) == 1:
        lines = applied(source.lines, inner)
        added = len(lines) - len(source.lines)
        body = textwrap.dedent("\n".join(lines[first - 1 : last + added])).split("\n")
        indent = source.indent(block)
        edit = tuple(f"{indent}{line}" if line.strip() else "" for line in body)
        return Edit(file=source.path, line=block.lineno, last=last, lines=edit)
    kept = ", ".join(_item(source, each) for each in block.items if each is not item)
    word = "async with" if isinstance(block, ast.AsyncWith) else "with"
    head = f"{source.indent(block)}{word} {kept}:"
    return Edit(file=source.path, line=block.lineno, last=first - 1, lines=(head,)) if first > block.lineno else None


def _item(source: Source, item: ast.withitem) -> str:
    text = source.text(item.context_expr)
    return text if item.optional_vars is None else f"{text} as {source.text(item.optional_vars)}"


def with_argument(source: Source, call: ast.Call, name: str, value: str) -> Edit | None:
    """Return the edit that gives a call a keyword argument, in place of the one that it has."""
    given = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    if given is not None:
        return replaced(source, given, value)
    parts = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not parts:
        return replaced(source, call, f"{source.text(call.func)}({name}={value})")
    last = max(parts, key=lambda each: (each.end_lineno or 0, each.end_col_offset or 0))
    line = last.end_lineno or last.lineno
    begins = source.lines[line - 1]
    own = line > call.lineno and begins[: len(begins) - len(begins.lstrip())]
    gap = f",\n{own}" if own else ", "
    if last.end_col_offset is None:
        return None
    at = source.column(line, last.end_col_offset)
    text = f"{begins[:at]}{gap}{name}={value}{begins[at:]}"
    return Edit(file=source.path, line=line, last=line, lines=tuple(text.split("\n")))


def committed(statement: Statement) -> str:
    """Return the line that commits what a statement did."""
    return f"{'await ' if statement.is_awaited else ''}{statement.receiver}.commit()"


def unlocal(text: str) -> str:
    """Return SQL, or Python with SQL in it, whose settings outlive their transaction."""
    return _LOCAL_FUNCTION.sub(r"\1false\2", _LOCAL.sub("SET", text))


def is_local(sql: str) -> bool:
    """Return whether a statement's setting ends with its transaction."""
    return bool(_LOCAL.search(sql) or _LOCAL_FUNCTION.search(sql))


def lock(sql: str) -> str | None:
    """Return the function of an advisory lock that a statement waits for, if it does."""
    found = _LOCK.search(sql)
    return found[0].lower() if found is not None else None


def unlocalled(statement: Statement) -> Edit | None:
    """Return the edit that makes a statement's setting outlive its transaction, where the SQL stands in the call."""
    source, node = statement.site.source, statement.site.node
    assert isinstance(node, ast.expr)
    text = source.text(node)
    return replaced(source, node, unlocal(text)) if unlocal(text) != text else None


def polling(statement: Statement, receiver: str) -> list[str] | None:
    """Return lines that ask for a lock until it is had, where the SQL stands in the call."""
    source, node = statement.site.source, statement.site.node
    if not isinstance(node, ast.Call) or not _LOCK.search(source.text(node)) or not node.args:
        return None
    given = ", ".join(source.text(each) for each in (*node.args, *(keyword.value for keyword in node.keywords)))
    asked = _LOCK.sub(lambda found: f"pg_try_advisory_lock{found[1] or ''}", given)
    if isinstance(node.args[0], ast.Constant):
        asked = f"sqlalchemy.text({asked})"
    wait = "await " if statement.is_awaited else ""
    used = {each.id for each in ast.walk(source.tree) if isinstance(each, ast.Name)}
    needed = ["asyncio" if wait else "time", *(["sqlalchemy"] if asked.startswith("sqlalchemy.") else [])]
    return [
        *(f"import {name}" for name in needed if name not in used),
        f"while not {wait}{receiver}.scalar({asked}):",
        f"    {wait}{receiver}.commit()",
        f"    {'await asyncio' if wait else 'time'}.sleep(1)",
        f"{wait}{receiver}.commit()",
    ]
