"""Reading pg_stat_statements: its columns follow the extension's version, which an upgraded server may have kept."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune import sql
from dbtune.health.counters import TOP_STATEMENTS
from dbtune.health.values.statement import Coverage, Statement, Statements
from dbtune.health.versioned import statement
from dbtune.server.connection import MARKER, is_lost, sqlstate

_MAJOR = {8: 13, 9: 14, 10: 15, 11: 17, 12: 18}
"""The major version that a minor version of the extension came with."""

_OLDEST, _INFO = 8, 9
_NOT_LOADED = "55000"


def read(connection: Connection) -> Statements:
    """Return what it counted in this database; an extension older than 1.8 counts as not installed."""
    setup = connection.execute(text(statement("health_statements_setup", 13))).mappings().one()
    minor = int(setup["version"].split(".")[1]) if setup["version"] is not None else 0
    preloaded = True if setup["most"] is not None else setup["preloaded"]
    if minor < _OLDEST:
        return Statements(coverage=Coverage(installed=False, preloaded=preloaded))
    major = _MAJOR.get(minor, max(_MAJOR.values()))
    connection.exec_driver_sql(f"{MARKER} SAVEPOINT dbtune_statements")
    try:
        total = connection.execute(text(_placed("health_statements_sum", major, setup["schema"]))).mappings().one()
    except DBAPIError as error:
        if is_lost(error) or sqlstate(error) != _NOT_LOADED:
            raise
        connection.exec_driver_sql(f"{MARKER} ROLLBACK TO SAVEPOINT dbtune_statements")
        return Statements(coverage=Coverage(installed=True, preloaded=False))
    query = _placed("health_statements", major, setup["schema"])
    rows = connection.execute(text(query), {"most": TOP_STATEMENTS}).mappings().all()
    info = None
    if minor >= _INFO:
        info = connection.execute(text(_placed("statements_info", major, setup["schema"]))).mappings().one()
    coverage = Coverage(
        installed=True,
        preloaded=True,
        most=setup["most"],
        evictions=info["dealloc"] if info is not None else None,
        stats_reset=info["stats_reset"] if info is not None else None,
        **total,
    )
    return Statements(coverage=coverage, top={f"{row['queryid']}/{row['userid']}": Statement(**row) for row in rows})


def _placed(name: str, major: int, schema: str) -> str:
    return statement(name, major).replace("/* schema */", f"{sql.quote_identifier(schema)}.")
