"""Which statements are none of the application's work: what drivers, pools and tools ask the catalogs by themselves."""

from __future__ import annotations

import re
from functools import lru_cache

from dbtune.workload import lexer

_HINT = re.compile(
    r"\b(?:pg_(?!sleep)\w*|information_schema|current_schemas?|current_setting|set_config|version|now)\b", re.IGNORECASE
)
_SQUASHED = re.compile(r"/\*, \.\.\. \*/")
_LONGEST = 20_000


def is_of_system(statement: str) -> bool:
    """Return whether it asks only the catalogs or the session, such as ``SELECT pg_catalog.version()``.

    SQLAlchemy sends a few of these on its first connection, psycopg looks types up; dbtune does so too, and PostgreSQL
    18 keeps no comment that leads a statement, so that pg_stat_statements does not always have dbtune's marker.
    """
    if len(statement) > _LONGEST or not _HINT.search(statement):
        return False
    return _asks_only_the_system(statement)


@lru_cache(maxsize=4096)
def _asks_only_the_system(statement: str) -> bool:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(_SQUASHED.sub("", statement), dialect="postgres")
    except (SqlglotError, RecursionError):
        return False
    if not isinstance(tree, exp.Query):
        return False
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = [t for t in tree.find_all(exp.Table) if t.name and (t.db or t.name not in ctes)]
    if tables:
        return all(t.name.startswith("pg_") or t.db == "information_schema" for t in tables)
    try:
        return all(map(_HINT.fullmatch, lexer.called_functions(statement)))
    except lexer.Unterminated:
        return False
