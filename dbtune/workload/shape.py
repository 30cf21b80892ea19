"""What one query's texts share, whoever wrote them down: the application, the server's log, pg_stat_statements.

They name parameters and constants differently, ORMs number their aliases, drivers add casts to what they send.
:func:`dbtune.workload.fingerprint.fingerprint` keeps such differences; a shape does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from dbtune.workload import lexer
from dbtune.workload.fingerprint import fingerprint
from dbtune.workload.lexer import Kind, Token
from dbtune.workload.normalise import castable, parameterised

if TYPE_CHECKING:
    from sqlglot import exp

LONGEST_PARSED = 100_000
"""Characters, after lists are cut to one member, up to which a statement is parsed; a longer one is taken by tokens."""

LONGEST_READ = 1_000_000
"""Characters, without constants, up to which a statement is taken by its tokens; a longer one is only like itself."""

_LONGEST_KEPT = 20_000
_PREFIX = "parameter_"
_PLACEHOLDER = re.compile(rf"%\({_PREFIX}([0-9]+)\)s|:{_PREFIX}([0-9]+)")
_LIKE_PARAMETERS = frozenset({"null", "true", "false"})
# Words of which a type's name may have more: timestamp with time zone, double precision, character varying.
_FOLLOWS_IN_TYPE = {
    "with": ("time", "timestamp"),
    "without": ("time", "timestamp"),
    "time": ("with", "without"),
    "zone": ("time",),
    "precision": ("double",),
    "varying": ("character", "bit", "char"),
}


def shape(statement: str) -> str:
    """Return what all texts of one query share.

    Constants are parameters, NULL and truth values too unless tested by IS, and parameters carry no cast; tables have
    aliases by their order, columns their table's alias, results none that nothing refers to; lists have one member.
    A statement that sqlglot cannot read, or that is very long, is taken by its tokens and keeps its aliases.
    """
    return _kept_shape(statement) if len(statement) <= _LONGEST_KEPT else _shape(statement, constants=False)


def variant(statement: str) -> str:
    """Return what texts share that one source has for one query: their :func:`shape`, but with their constants.

    An application that writes ``status = 'ACTIVE'`` into its text means another query by ``status = 'CREATED'``.
    """
    return _kept_variant(statement) if len(statement) <= _LONGEST_KEPT else _shape(statement, constants=True)


@lru_cache(maxsize=4096)
def _kept_shape(statement: str) -> str:
    return _shape(statement, constants=False)


@lru_cache(maxsize=4096)
def _kept_variant(statement: str) -> str:
    return _shape(statement, constants=True)


def _shape(statement: str, *, constants: bool) -> str:
    written = castable(statement)
    if not constants:
        written = parameterised(written)
    if len(written) > LONGEST_READ:
        return written
    try:
        short = fingerprint("".join(_simplified(written)))
        return fingerprint(_canonical(short) or short)
    except lexer.Unterminated:
        return written


def _simplified(statement: str) -> Iterator[str]:
    """Yield the statement in pieces: each parameter has a number of its own and no cast; so have NULL and truth values.

    The same value may be one parameter that stands twice, or two: psycopg2 and pg_stat_statements know only two.
    """
    said = [t for t in lexer.tokens(statement) if t.kind is not Kind.SPACE and not _is_remark(t)]
    words = [token.text.lower() if token.kind is Kind.WORD else "" for token in said]
    number = end = after_casts = 0
    for at, token in enumerate(said):
        if at < after_casts:
            continue
        if token.kind is Kind.PARAMETER or (words[at] in _LIKE_PARAMETERS and not _is_tested(words, at)):
            number += 1
            yield f" ${number} "
            after_casts = _after_casts(said, words, at + 1)
        else:
            yield token.text if token.start == end else f" {token.text}"
        end = token.start + len(token.text)


def _is_remark(token: Token) -> bool:
    return token.kind is Kind.COMMENT and not token.text.startswith("/*+")


def _is_tested(words: Sequence[str], at: int) -> bool:
    """Return whether ``IS``, or ``IS NOT``, is before the word."""
    before = words[at - 1] if at else ""
    return before == "is" or (before == "not" and at > 1 and words[at - 2] == "is")


def _after_casts(said: Sequence[Token], words: Sequence[str], at: int) -> int:
    """Return where the casts are over that begin at ``at``: ``::numeric(10, 2)``, ``::timestamp with time zone[]``."""
    while [token.text for token in said[at : at + 2]] == [":", ":"]:
        at += 3
        while at < len(said) and said[at].text == ".":
            at += 2
        last = words[at - 1] if at <= len(said) else ""
        while at < len(said) and (said[at].text in "([" or last in _FOLLOWS_IN_TYPE.get(words[at], ())):
            if said[at].text in "([":
                while at < len(said) and said[at].text not in ")]":
                    at += 1
            else:
                last = words[at]
            at += 1
    return at


def _canonical(statement: str) -> str | None:
    """Return the statement written anew from its parse tree; None where there is none."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    if len(statement) > LONGEST_PARSED:
        return None
    try:
        tokens = lexer.tokens(statement)
        named = "".join(f":{_PREFIX}{t.text[1:]}" if t.kind is Kind.PARAMETER else t.text for t in tokens)
        tree = sqlglot.parse_one(named, dialect="postgres")
        _dissolve_casts(tree)
        _rename_tables(tree)
        _drop_aliases(tree)
        text = tree.sql(dialect="postgres", comments=False)
    except (SqlglotError, RecursionError, ValueError):
        return None
    return _PLACEHOLDER.sub(r"$\1\2", text)


def _dissolve_casts(tree: exp.Expr) -> None:
    """Take away what a driver, or nobody, wrote around a parameter: casts, and an array of nothing but parameters."""
    from sqlglot import exp

    for cast in reversed(list(tree.find_all(exp.Cast))):  # those inside first
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
