"""Outside judges on generated revisions: squawk on their SQL, pytest-alembic on the project that they are in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_alembic.tests import test_single_head_revision, test_up_down_consistency, test_upgrade
from sqlalchemy import Connection, Engine, NullPool, create_engine

from dbtune.migration import asked, statement
from tests import squawk
from tests.migration.conftest import Host, Run

__all__ = ["test_single_head_revision", "test_up_down_consistency", "test_upgrade"]

STATEMENTS = [
    "CREATE INDEX item_a ON shop.item (owner)",
    "CREATE INDEX item_b ON shop.item (lower(name) DESC) WHERE note <> ':y%?'",
    "CREATE UNIQUE INDEX item_c ON shop.item (id) INCLUDE (owner)",
    "ALTER TABLE shop.item ADD CONSTRAINT item_d UNIQUE (id, owner)",
    "CREATE INDEX log_a ON shop.log (n)",
    "ALTER TABLE shop.log ADD CONSTRAINT log_b UNIQUE (n, at)",
    "DROP INDEX shop.item_old",
]
REPLACED = "CREATE INDEX item_new ON shop.item (made, owner)"
MORE = """
CREATE INDEX item_old ON shop.item (made);
CREATE INDEX item_older ON shop.item (made DESC) WHERE note <> ':y%';
CREATE TABLE shop.log (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
"""


@pytest.fixture
def full(host: Host, run: Run, db: Connection) -> Host:
    """A host with a revision of each kind."""
    run(MORE)
    (host.folder / "alembic" / "versions" / "start.py").write_text(
        "revision, down_revision, branch_labels, depends_on = 'start', None, None, None\n"
        "def upgrade(): pass\ndef downgrade(): pass\n"
    )
    for text in STATEMENTS:
        host.new(text, db)
    (change,) = asked.changes(statement.parse(REPLACED), db, statement.parse_name("shop.item_older"))
    host.new(change)
    return host


@pytest.fixture
def alembic_config(full: Host) -> dict[str, Any]:
    return {"file": str(full.ini), "script_location": str(full.folder / "alembic")}


@pytest.fixture
def alembic_engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, poolclass=NullPool)
    yield engine
    engine.dispose()


@squawk.needed
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_squawk_finds_nothing(full: Host, direction: str) -> None:
    script = full.alembic(direction, "start:head" if direction == "upgrade" else "head:start", sql=True)
    assert "CONCURRENTLY" in script
    assert squawk.findings(script) == []


def test_up_and_down_three_times(full: Host, run: Run) -> None:
    seen = set()
    for _ in range(3):
        full.alembic("upgrade", "head")
        up = tuple(run("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'shop' ORDER BY 1"))
        full.alembic("downgrade", "base")
        down = tuple(run("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'shop' ORDER BY 1"))
        seen.add((up, down))
    assert len(seen) == 1
