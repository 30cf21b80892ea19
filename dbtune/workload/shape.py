"""What one query's texts share, whoever wrote them down: the application, the server's log, pg_stat_statements.

They name parameters and constants differently, ORMs number their aliases, drivers add casts to what they send.
:func:`dbtune.workload.fingerprint.fingerprint` keeps such differences; a shape does not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from dbtune.workload import lexer
from dbtune.workload.fingerprint import fingerprint
from dbtune.workload.lexer import Kind
from dbtune.workload.normalise import castable, parameterised

if TYPE_CHECKING:
    from sqlglot import exp

_PREFIX = "parameter_"
_PLACEHOLDER = re.compile(rf"%\({_PREFIX}([0-9]+)\)s|:{_PREFIX}([0-9]+)")


@lru_cache(maxsize=4096)
def shape(statement: str) -> str:
    """Return what all texts of one query share.

    Constants are parameters, NULL and truth values too unless tested by IS, and parameters carry no cast; tables have
    aliases by their order, columns their table's alias, results none that nothing refers to; lists have one member.
    A statement that sqlglot cannot read is taken by its tokens, and keeps its aliases and casts.
    """
    statement = parameterised(castable(statement))
    try:
        return fingerprint(_canonical(statement) or statement)
    except lexer.Unterminated:
        return statement


def _canonical(statement: str) -> str | None:
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tokens = lexer.tokens(statement)
        named = "".join(f":{_PREFIX}{t.text[1:]}" if t.kind is Kind.PARAMETER else t.text for t in tokens)
        tree = sqlglot.parse_one(named, dialect="postgres")
        _dissolve_constants(tree)
        _rename_tables(tree)
        _drop_aliases(tree)
        text = tree.sql(dialect="postgres", comments=False)
    except (SqlglotError, RecursionError, ValueError):
        return None
    return _PLACEHOLDER.sub(r"$\1\2", text)


def _dissolve_constants(tree: exp.Expr) -> None:
    """Make parameters of constants that a driver may as well have sent beside the text, and take their casts away."""
    from sqlglot import exp

    for number, constant in enumerate(list(tree.find_all(exp.Null, exp.Boolean))):
        tested = isinstance(constant.parent, exp.Is) or isinstance(constant.find_ancestor(exp.Is), exp.Is)
        if not tested and constant.parent is not None:
            constant.replace(exp.Placeholder(this=f"{_PREFIX}{90_000 + number}"))
    for cast in list(tree.find_all(exp.Cast)):
        if isinstance(cast.this, exp.Placeholder):
            cast.replace(cast.this)
    for array in list(tree.find_all(exp.Array)):
        members = array.expressions
        if members and all(isinstance(member, exp.Placeholder) for member in members):
            outer = array.parent if isinstance(array.parent, exp.Cast) else array
            outer.replace(members[0])


def _rename_tables(tree: exp.Expr) -> None:
    """Give each table and subquery of FROM an alias by its order, and each column that of its table."""
    from sqlglot import exp

    names: dict[str, str] = {}
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    sources = [
        node
        for node in tree.find_all(exp.Table, exp.Subquery, bfs=False)
        if node.alias or (isinstance(node, exp.Table) and node.name)
    ]
    for source in sources:
        if isinstance(source.parent, exp.Insert | exp.Schema) or source.alias_or_name in ctes:
            continue
        names.setdefault(source.alias_or_name, f"t{len(names) + 1}")
    for column in tree.find_all(exp.Column):
        if not column.table and (only := _only_source(column)) is not None:
            column.set("table", exp.to_identifier(only))
        if column.table in names:
            column.set("table", exp.to_identifier(names[column.table]))
            column.set("db", None)
    for source in sources:
        if (name := names.get(source.alias_or_name)) is not None:
            columns = source.args["alias"].args.get("columns") if source.args.get("alias") else None
            source.set("alias", exp.TableAlias(this=exp.to_identifier(name), columns=columns))
    for join in tree.find_all(exp.Join):
        if join.kind == "INNER" or (join.side and join.kind == "OUTER"):
            join.set("kind", None)


def _only_source(column: exp.Expr) -> str | None:
    """Return the only table that the column can be of, None where there are several."""
    from sqlglot import exp

    scope = column.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Insert)
    if not isinstance(scope, exp.Select):
        return None
    start = scope.args.get("from_") or scope.args.get("from")
    if start is None or scope.args.get("joins") or scope.args.get("laterals"):
        return None
    aliases = {projection.alias for projection in scope.selects}
    inner = scope.find_ancestor(exp.Select) is not None
    is_table = isinstance(start.this, exp.Table) and bool(start.this.name)
    return start.this.alias_or_name if is_table and not inner and column.name not in aliases else None


def _drop_aliases(tree: exp.Expr) -> None:
    """Take away names of the statement's results that nothing in it refers to."""
    from sqlglot import exp

    if not isinstance(tree, exp.Select):
        return
    used = {column.name for column in tree.find_all(exp.Column) if not column.table}
    for projection in list(tree.selects):
        if isinstance(projection, exp.Alias) and projection.alias not in used:
            projection.replace(projection.this)
