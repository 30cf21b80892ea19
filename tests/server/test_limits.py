"""Limits as the server has them."""

from __future__ import annotations

from sqlalchemy import Connection, make_url

from dbtune.server import limits
from dbtune.server.connection import Target, connect, server_version_num


def test_what_is_usable_and_where_it_was_set(plain: Connection) -> None:
    found = limits.read(plain)
    shown = int(plain.exec_driver_sql("SHOW max_connections").scalar_one())
    assert found.max_connections == shown
    assert found.usable == shown - found.reserved
    assert found.superuser_reserved_connections == 3
    assert found.sources["superuser_reserved_connections"] == "default"
    assert ("reserved_connections" in found.sources) == (server_version_num(plain) >= 160_000)
    assert ("transaction_timeout" in found.timeouts) == (server_version_num(plain) >= 170_000)
    assert found.switches["track_activities"]


def test_limits_of_roles_and_databases(db: Connection, plain: Connection, database_url: str) -> None:
    database = make_url(database_url).database
    role = plain.engine.url.username
    db.exec_driver_sql(f"ALTER DATABASE {database} CONNECTION LIMIT 17")
    db.exec_driver_sql(f"ALTER ROLE {role} CONNECTION LIMIT 5")
    db.commit()
    found = limits.read(plain)
    assert limits.Limit(name=database or "", most=17) in found.databases
    assert limits.Limit(name=role or "", most=5) in found.roles
    db.exec_driver_sql(f"ALTER ROLE {role} SUPERUSER")  # whose limit the server does not enforce
    db.commit()
    assert role not in [limit.name for limit in limits.read(plain).roles]


def test_a_setting_of_a_database_says_so(db: Connection, database_url: str) -> None:
    url = make_url(database_url)
    db.exec_driver_sql(f"ALTER DATABASE {url.database} SET idle_in_transaction_session_timeout = '7s'")
    db.commit()
    with connect(Target(url, "test")) as later:
        found = limits.read(later)
    assert found.timeouts["idle_in_transaction_session_timeout"] == 7000
    assert found.sources["idle_in_transaction_session_timeout"] == "database"
