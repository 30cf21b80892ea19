"""What the catalogs say about tables."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from dbtune import sql
from dbtune.server.facts import Facts, IndexFacts, TableFacts


def table_facts(connection: Connection, names: Iterable[str]) -> Facts:
    """Read the facts about these tables (``schema.table``), from pg_class, pg_index and pg_stat_all_tables.

    And the settings that bound memory, from pg_settings.

    Tables that do not exist are left out.
    """
    wanted = sorted(set(names))
    settings = connection.execute(text(sql.load("memory_settings"))).all()
    rows = connection.execute(text(sql.load("table_facts")), {"names": wanted}).mappings().all()
    connection.rollback()
    tables = (
        TableFacts(
            name=row["name"],
            relpages=row["relpages"],
            reltuples=row["reltuples"],
            n_live_tup=row["n_live_tup"],
            n_mod_since_analyze=row["n_mod_since_analyze"],
            last_analyze=row["last_analyze"],
            indexes=tuple(IndexFacts(**{**index, "columns": tuple(index["columns"])}) for index in row["indexes"]),
            referenced_by=tuple((key["table"], tuple(key["columns"])) for key in row["referenced_by"]),
        )
        for row in rows
    )
    return Facts(tables={table.name: table for table in tables}, settings={row.name: row.setting for row in settings})
