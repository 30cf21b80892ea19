"""What env.py tells Alembic beside the connection."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from dbtune.migration.doctor.finding import Finding, Severity
from dbtune.migration.doctor.place import found
from dbtune.migration.doctor.source import Site, Source
from dbtune.migration.doctor.trace import Configured, Way
from dbtune.migration.doctor.values import Const

_USUAL = "alembic_version"


def judge(ways: Sequence[Way], env: Source) -> Iterator[Finding]:
    """Yield what follows from the arguments of configure() and from classes that replace parts of Alembic."""
    for way in ways:
        for configured in way.configured if way.databases is None else ():
            ddl = configured.option("transactional_ddl")
            if isinstance(ddl, Const) and ddl.value is False:
                yield _transactional_ddl(configured.site, "configure() turns transactional DDL off")
            if not way.offline:
                yield from _autogenerate(configured)
                yield from _version_table(configured)
    for node in ast.walk(env.tree):
        if isinstance(node, ast.ClassDef) and _replaces(node):
            yield _transactional_ddl(
                Site(env, node), f"class {node.name} takes the place of Alembic's PostgreSQL, without transactional DDL"
            )


def _replaces(node: ast.ClassDef) -> bool:
    """Return whether a class stands for PostgreSQL in Alembic and has no transactional DDL."""
    values = {
        target.id: each.value.value
        for each in node.body
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant)
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    bases = {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in node.bases}
    ddl = values.get("transactional_ddl", "PostgresqlImpl" in bases)
    return values.get("__dialect__") == "postgresql" and not ddl


def _transactional_ddl(site: Site, message: str) -> Finding:
    return found(
        "transactional-ddl",
        Severity.WARNING,
        site,
        message,
        "alembic upgrade gives each revision its own transaction then, and indexes are built as usual. A script that"
        " --sql prints has no BEGIN and COMMIT: psql without ON_ERROR_STOP notes a revision whose check has failed.",
        "PostgreSQL's DDL is transactional: take it away",
    )


def _autogenerate(configured: Configured) -> Iterator[Finding]:
    metadata = configured.option("target_metadata")
    known = {"include_object", "include_name"} & set(configured.options.items)
    if metadata is None or known or configured.options.is_open or isinstance(metadata, Const):
        return
    yield found(
        "autogenerate-drops-indexes",
        Severity.INFO,
        configured.site,
        "autogenerate drops indexes that the models do not have",
        "alembic revision --autogenerate compares the database with target_metadata, and writes a DROP INDEX for one"
        " that a revision made and no model has.",
        "put the Index(…) line into the models that stands in the docstring of each revision of dbtune's, or give"
        " configure() an include_object that returns False for an index that is reflected and has no compare_to",
    )


def _version_table(configured: Configured) -> Iterator[Finding]:
    name = configured.option("version_table")
    if not isinstance(name, Const) or not isinstance(name.value, str) or name.value == _USUAL:
        return
    yield found(
        "version-table",
        Severity.INFO,
        configured.site,
        f"revisions are noted in the table {name.value}",
        f"Revisions use it as Alembic does. dbtune migrate status looks for tables named {_USUAL} only, and does not"
        " list what is noted in it.",
        None,
    )
