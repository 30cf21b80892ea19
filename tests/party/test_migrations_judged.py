"""Outside judges on the shipped revisions: pytest-alembic's own tests, and squawk on those that make indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_alembic.tests import (
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import Engine, NullPool, create_engine

from dbtune import config
from dbtune.party import schema
from tests import squawk
from tests.party.conftest import Alembic

__all__ = [
    "test_model_definitions_match_ddl",
    "test_single_head_revision",
    "test_up_down_consistency",
    "test_upgrade",
]


@pytest.fixture
def alembic_config() -> dict[str, Any]:
    return {"script_location": str(config.migrations_dir())}


@pytest.fixture
def alembic_engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url, poolclass=NullPool)
    yield engine
    engine.dispose()


@squawk.needed
@pytest.mark.parametrize("direction", ["upgrade", "downgrade"])
def test_squawk_finds_nothing_in_the_indexes(alembic: Alembic, direction: str) -> None:
    ends = f"{schema.FIRST}:head" if direction == "upgrade" else f"head:{schema.FIRST}"
    script = alembic(direction, ends, sql=True)
    assert "CONCURRENTLY" in script
    assert squawk.findings(script) == []
