"""What the doctor calls an error does break a build on a real server, and the lines that it prints mend it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.migration.conftest import Run, indexes, psql, session, state
from tests.migration.doctor.conftest import errors, mend, noted, project
from tests.migration.doctor.variants import BROKEN, FINE, HEAD, RUN, Broken

INDEX = "CREATE INDEX item_owner_idx ON shop.item (owner)"


def url_with(database_url: str, driver: str) -> str:
    return make_url(database_url).set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)


@pytest.mark.filterwarnings(
    "ignore:.*was never awaited", "ignore:Exception ignored in. <coroutine object connect"
)  # the error itself
@pytest.mark.parametrize("variant", BROKEN.values(), ids=list(BROKEN))
def test_error_breaks_a_build_and_its_fix_mends_it(
    variant: Broken, tmp_path: Path, database_url: str, run: Run
) -> None:
    host = project(tmp_path, variant.env, url_with(database_url, variant.driver))
    (written,) = host.new(INDEX)
    (found,) = errors(host)
    assert found.id == variant.id
    assert found.source is not None and found.source.strip().startswith(variant.line)
    with pytest.raises(Exception, match=variant.says):
        host.alembic("upgrade", "head")
    assert indexes(run) == {} and noted(run) == []

    mend(found.edits)
    assert errors(host) == []
    host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == [written.revision]


@pytest.mark.parametrize("name", FINE)
def test_what_is_no_error_builds(name: str, tmp_path: Path, database_url: str, run: Run) -> None:
    driver = "asyncpg" if name.startswith("async") else "psycopg2"
    host = project(tmp_path, FINE[name], url_with(database_url, driver))
    (written,) = host.new(INDEX)
    assert errors(host) == []
    host.alembic("upgrade", "head")
    assert state(run, "item_owner_idx")[0] and noted(run) == [written.revision]


def test_script_without_a_transaction_loses_the_note(tmp_path: Path, database_url: str, run: Run) -> None:
    env = "if context.is_offline_mode():\n    context.configure(url='postgresql://', literal_binds=True)\n"
    env += "    context.run_migrations()\nelse:\n  with engine.connect() as connection:\n"
    host = project(tmp_path, HEAD + env + RUN, database_url)
    (written,) = host.new(INDEX)
    (found,) = errors(host)
    assert (found.id, found.line) == ("missing-transaction", 9)

    def apply() -> None:
        script = host.alembic("upgrade", "head", sql=True)
        with session(database_url) as client:
            psql(client, script, stop=True)

    apply()
    assert state(run, "item_owner_idx")[0] and noted(run) == []
    mend(found.edits)
    assert errors(host) == []
    run("DROP TABLE IF EXISTS alembic_version")
    apply()
    assert noted(run) == [written.revision]
