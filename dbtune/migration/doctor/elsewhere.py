"""Revisions by hand that build an index on a connection of their own, beside Alembic's."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from dbtune.migration.doctor.concurrently import is_concurrent
from dbtune.migration.doctor.finding import Finding, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.revisions import Revision
from dbtune.migration.doctor.source import Site


def judge(revision: Revision, shared: Finding) -> Iterator[Finding]:
    """Yield the builds that wait for Alembic's transaction; ``shared`` says that it is one for all revisions."""
    source = revision.source
    for function in source.tree.body:
        if not isinstance(function, ast.FunctionDef) or function.name not in ("upgrade", "downgrade"):
            continue
        opened = set(_opened(function))
        for node in ast.walk(function):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_concurrent(node)):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id in opened:
                yield found(
                    "other-connection",
                    Severity.ERROR,
                    Site(source, node),
                    f"{function.name}() works on an index CONCURRENTLY on another connection than Alembic's",
                    "All revisions of an upgrade share one transaction, which stays open meanwhile. If an earlier one"
                    " has changed the table, the build waits for that transaction, and Alembic for the build: the"
                    " server sees no deadlock, and both wait for ever.",
                    "give each revision its own transaction; or build in op.get_context().autocommit_block(), which"
                    " ends Alembic's first",
                    shared.edits,
                )


def _opened(function: ast.FunctionDef) -> Iterator[str]:
    """Yield the names of connections that a function opens."""
    for node in ast.walk(function):
        pairs: list[tuple[ast.expr | None, ast.expr]] = []
        if isinstance(node, ast.With):
            pairs = [(item.optional_vars, item.context_expr) for item in node.items]
        elif isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        for target, value in pairs:
            calls = {each.attr for each in ast.walk(value) if isinstance(each, ast.Attribute)}
            if isinstance(target, ast.Name) and "connect" in calls:
                yield target.id
