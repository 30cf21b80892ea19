"""The ``Index(…)`` that models need, lest Alembic's autogenerate drop the index again."""

from __future__ import annotations

from dbtune.migration.definition import Definition, key_sql


def line(definition: Definition) -> str:
    """Return the index as SQLAlchemy's Index, for a table's ``__table_args__``; SQL stands in
    literal_column(), which takes it as it is."""
    index = definition.index
    arguments = [repr(definition.name)]
    for key in index.keys:
        plain = key.is_column and key_sql(key) in (key.text, f'"{key.text}"')
        arguments.append(repr(key.text) if plain else f"literal_column({key_sql(key)!r})")
    if index.unique:
        arguments.append("unique=True")
    if index.method != "btree":
        arguments.append(f"postgresql_using={index.method!r}")
    if index.include:
        arguments.append(f"postgresql_include={list(index.include)!r}")
    if not definition.nulls_distinct:
        arguments.append("postgresql_nulls_not_distinct=True")
    if definition.storage:
        arguments.append(f"postgresql_with={ {name: value or '' for name, value in definition.storage}!r}")
    if definition.tablespace is not None:
        arguments.append(f"postgresql_tablespace={definition.tablespace!r}")
    if index.predicate is not None:
        arguments.append(f"postgresql_where=literal_column({index.predicate!r})")
    return f"Index({', '.join(arguments)})"
