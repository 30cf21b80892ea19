"""Revisions by hand that build or drop an index CONCURRENTLY within a transaction."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from dbtune.migration.doctor import mends
from dbtune.migration.doctor.finding import Finding, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.revisions import Revision
from dbtune.migration.doctor.source import Site, Source

_SQL = re.compile(
    r"(?is)^\s*(create\s+(unique\s+)?|drop\s+|reindex\s+(\(.*?\)\s*)?)(index|table|schema)\s+concurrently\b"
)
_WAYS_OUT = re.compile(r"(?i)\bcommit\b|autocommit(?!_block)|enter_context|set_isolation_level|isolation_level")


def by_hand(sources: Iterable[Source]) -> Source | None:
    """Return the first file with a call that works on an index CONCURRENTLY; dbtune's keep their SQL apart."""
    for source in sources:
        if any(isinstance(node, ast.Call) and is_concurrent(node) for node in ast.walk(source.tree)):
            return source
    return None


def judge(revision: Revision) -> Iterator[Finding]:
    """Yield the calls that fail: outside of autocommit_block(), in a file that has no other way out of transactions."""
    source = revision.source
    if _WAYS_OUT.search("\n".join(source.lines)):
        return
    for function in source.tree.body:
        if not isinstance(function, ast.FunctionDef) or function.name not in ("upgrade", "downgrade"):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and is_concurrent(node) and not _is_outside(source, node):
                yield _finding(source, node, function.name)


def is_concurrent(node: ast.Call) -> bool:
    """Return whether a call builds, drops or rebuilds an index CONCURRENTLY, as far as it is written out."""
    if not isinstance(node.func, ast.Attribute):
        return False
    if node.func.attr in ("create_index", "drop_index"):
        return any(
            each.arg == "postgresql_concurrently" and isinstance(each.value, ast.Constant) and each.value.value is True
            for each in node.keywords
        )
    if node.func.attr not in ("execute", "exec_driver_sql") or not node.args:
        return False
    first = node.args[0]
    if isinstance(first, ast.Call) and first.args and getattr(first.func, "attr", getattr(first.func, "id", "")) in (
        "text", "DDL"
    ):  # fmt: skip
        first = first.args[0]
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and bool(_SQL.match(first.value))


def _is_outside(source: Source, node: ast.AST) -> bool:
    """Return whether a call stands in an autocommit_block()."""
    above = source.above(node)
    while above is not None:
        if isinstance(above, ast.With):
            words = [source.text(each.context_expr) for each in above.items]
            if any("autocommit_block" in each for each in words):
                return True
        above = source.above(above)
    return False


def _finding(source: Source, node: ast.Call, function: str) -> Finding:
    assert isinstance(node.func, ast.Attribute)
    op = source.named("alembic.op") or "op"
    return found(
        "concurrently-in-transaction",
        Severity.ERROR,
        Site(source, node),
        f"{function}() works on an index CONCURRENTLY within the revision's transaction",
        "The server refuses that (25001: cannot run inside a transaction block): an empty database cannot be upgraded"
        " past this revision.",
        "run it in an autocommit block; or write the revision with dbtune migrate new, which also finds what a failed"
        " build left",
        [mends.wrapped(source, source.statement(node), f"with {op}.get_context().autocommit_block():")],
    )
