"""Indexes that cost more than they are worth, made for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.health.finding import Confidence, Migration, Severity, Sql
from tests.health.conftest import Dbtune, Look, found, settle
from tests.migration.conftest import Host, Run, make_host

SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.owner (id int PRIMARY KEY, name text);
CREATE TABLE shop.item (id int PRIMARY KEY, owner int REFERENCES shop.owner, code text, note text, "Mixed Case" int);
INSERT INTO shop.owner SELECT g, 'o' || g FROM generate_series(1, 100) AS g;
INSERT INTO shop.item SELECT g, 1 + mod(g, 100), 'c' || g, 'n', g FROM generate_series(1, 5000) AS g;
CREATE INDEX item_owner ON shop.item (owner);
ANALYZE shop.item, shop.owner;
"""
ALL_SIZES = "unused-index.bytes=0"


@pytest.fixture(autouse=True)
def shop(run: Run) -> None:
    run(SHOP)


def test_nothing_is_wrong_with_sound_indexes(run: Run, look: Look) -> None:
    report = look("indexes", limits=(ALL_SIZES,))
    assert report.findings == ()
    assert not report.unchecked
    assert report.totals is not None
    assert (report.totals.indexes, report.totals.tables) == (3, 2)


def test_unused_and_used(run: Run, look: Look) -> None:
    run("CREATE INDEX item_code ON shop.item (code)")
    run('CREATE INDEX "Odd Name" ON shop.item ("Mixed Case")')
    run("SET enable_seqscan = off")
    run("SELECT * FROM shop.item WHERE code = 'c7'")
    settle(run)
    unused = found(look("unused-index", limits=(ALL_SIZES,)), "unused-index")
    assert unused.keys() == {'shop."Odd Name"'}
    (finding,) = unused.values()
    assert (finding.severity, finding.confidence) == (Severity.INFO, Confidence.LOW)
    assert finding.remedy == Migration(statement='DROP INDEX shop."Odd Name"', asks_server=True)
    assert finding.evidence["writes"] == 5000
    assert (finding.size_bytes or 0) > 65_536
    assert found(look("unused-index", limits=("unused-index.bytes=1GB",)), "unused-index") == {}


def test_what_is_needed_is_not_called_unused(run: Run, look: Look) -> None:
    run("CREATE UNIQUE INDEX item_note ON shop.item (code)")
    run("ALTER TABLE shop.item ADD CONSTRAINT one UNIQUE (note, id)")
    run("CREATE TABLE shop.copy (id int NOT NULL, a int); CREATE UNIQUE INDEX copy_id ON shop.copy (id)")
    run("ALTER TABLE shop.copy REPLICA IDENTITY USING INDEX copy_id")
    run("CREATE EXTENSION IF NOT EXISTS btree_gist")
    run("CREATE TABLE shop.room (a int, EXCLUDE USING gist (a WITH =))")
    assert found(look("unused-index", limits=(ALL_SIZES,)), "unused-index") == {}
    run("CREATE INDEX item_owner_code ON shop.item (owner, code)")
    run("CREATE INDEX item_owner_note ON shop.item (owner, note)")
    told = {(each.check, each.object) for each in look("indexes", limits=(ALL_SIZES,)).findings}
    # of three that find the foreign key's rows one stays
    assert told == {("prefix-index", "shop.item_owner"), ("unused-index", "shop.item_owner_note")}


def test_an_index_of_an_expression_keeps_statistics(run: Run, look: Look) -> None:
    run("CREATE INDEX item_lower ON shop.item (lower(note))")
    (finding,) = found(look("unused-index", limits=(ALL_SIZES,)), "unused-index").values()
    assert any("statistics of its expression" in doubt for doubt in finding.doubts)


@pytest.mark.parametrize(
    ("first", "second", "gone"),
    [
        ("(code)", "(code)", "second"),
        ("(code) WHERE id > 5", "(code) WHERE id > 5", "second"),
        ("(lower(code), id)", "(lower(code), id)", "second"),
        ("USING hash (code)", "USING hash (code)", "second"),
        ("(code) INCLUDE (note)", "(code) INCLUDE (note)", "second"),
        ("(code) WHERE id > 5", "(code) WHERE id > 6", None),
        ("(code)", "(code DESC)", None),
        ("(code)", '(code COLLATE "C")', None),
        ("(code)", "(code text_pattern_ops)", None),
        ("(code)", "USING hash (code)", None),
        ("(lower(code))", "(upper(code))", None),
        ("(code)", "(note)", None),
    ],
)
def test_duplicates(run: Run, look: Look, first: str, second: str, gone: str | None) -> None:
    for name, definition in (("first", first), ("second", second)):
        on, _, rest = definition.rpartition("USING hash ")
        using = "USING hash " if on or "USING" in definition else ""
        run(f"CREATE INDEX {name} ON shop.item {using}{rest or definition}")
    duplicates = found(look("duplicate-index"), "duplicate-index")
    assert duplicates.keys() == ({f"shop.{gone}"} if gone else set())
    for finding in duplicates.values():
        assert (finding.severity, finding.confidence) == (Severity.WARNING, Confidence.HIGH)
        assert finding.evidence["keep"] == "shop.first"


@pytest.mark.parametrize(
    ("short", "long", "is_told"),
    [
        ("(code)", "(code, note)", True),
        ("(code) WHERE id > 5", "(code, note) WHERE id > 5", True),
        ("(lower(code))", "(lower(code), upper(note))", True),
        ("(lower(code), note)", "(lower(code), note, upper(note))", True),
        ("(code) INCLUDE (note)", "(code, note)", True),
        ("(code)", "(code) INCLUDE (note)", True),
        ("(code) INCLUDE (note)", "(code, id)", False),
        ("(code)", "(note, code)", False),
        ("(code)", "(code, note) WHERE id > 5", False),
        ("(code DESC)", "(code, note)", False),
        ("(lower(code))", "(upper(code), lower(code))", False),
    ],
)
def test_prefixes(run: Run, look: Look, short: str, long: str, is_told: bool) -> None:
    run(f"CREATE INDEX short ON shop.item {short}; CREATE INDEX long ON shop.item {long}")
    report = look("duplicate-index", "prefix-index")
    assert found(report, "prefix-index").keys() == ({"shop.short"} if is_told else set())
    assert found(report, "duplicate-index") == {}


def test_only_btrees_have_prefixes(run: Run, look: Look) -> None:
    run("CREATE INDEX short ON shop.item USING brin (id); CREATE INDEX long ON shop.item USING brin (id, owner)")
    assert look("prefix-index").findings == ()


def test_the_owner_of_a_constraint_is_kept(run: Run, look: Look) -> None:
    run("CREATE INDEX item_id ON shop.item (id)")
    run("CREATE UNIQUE INDEX owner_name ON shop.owner (name); CREATE INDEX owner_plain ON shop.owner (name)")
    run("ALTER TABLE shop.owner ADD CONSTRAINT owner_again UNIQUE (id)")
    duplicates = found(look("duplicate-index"), "duplicate-index")
    kept = {name: finding.evidence["keep"] for name, finding in duplicates.items()}
    assert kept == {
        "shop.item_id": "shop.item_pkey",
        "shop.owner_plain": "shop.owner_name",
        "shop.owner_again": "shop.owner_pkey",
    }
    assert duplicates["shop.owner_again"].remedy == Sql(statement="ALTER TABLE shop.owner DROP CONSTRAINT owner_again;")


def test_uniqueness_is_not_given_up(run: Run, look: Look) -> None:
    """A unique index is no duplicate of one that allows more rows; a constraint that may be deferred is another one."""
    run("CREATE UNIQUE INDEX owner_name ON shop.owner (name); CREATE INDEX owner_name_id ON shop.owner (name, id)")
    run("ALTER TABLE shop.item ADD CONSTRAINT now UNIQUE (code)")
    run("ALTER TABLE shop.item ADD CONSTRAINT later UNIQUE (code) DEFERRABLE")
    assert look("duplicate-index", "prefix-index").findings == ()


def test_nulls_not_distinct_is_another_promise(run: Run, look: Look) -> None:
    if int(run("SHOW server_version_num")[0][0]) < 150_000:
        pytest.skip("NULLS NOT DISTINCT came with 15")
    run("CREATE UNIQUE INDEX apart ON shop.item (code)")
    run("CREATE UNIQUE INDEX alike ON shop.item (code) NULLS NOT DISTINCT")
    assert look("duplicate-index").findings == ()
    run("CREATE UNIQUE INDEX again ON shop.item (code) NULLS NOT DISTINCT; CREATE INDEX plain ON shop.item (code)")
    assert found(look("duplicate-index"), "duplicate-index").keys() == {"shop.again", "shop.plain"}


def test_all_that_are_told_can_go_together(run: Run, look: Look) -> None:
    run("CREATE INDEX a1 ON shop.item (code); CREATE INDEX a2 ON shop.item (code)")
    run("CREATE INDEX b ON shop.item (code, note); CREATE INDEX c ON shop.item (code, note, id)")
    report = look("duplicate-index", "prefix-index")
    assert found(report, "duplicate-index")["shop.a2"].evidence["keep"] == "shop.a1"
    prefixes = found(report, "prefix-index")
    assert {name: each.evidence["keep"] for name, each in prefixes.items()} == {"shop.a1": "shop.c", "shop.b": "shop.c"}
    for name in ("a1", "a2", "b"):
        run(f"DROP INDEX shop.{name}")
    assert look("duplicate-index", "prefix-index").findings == ()


def test_the_one_that_takes_over_is_not_called_unused(run: Run, look: Look) -> None:
    run("CREATE INDEX first ON shop.item (code)")
    run("SET enable_seqscan = off")
    run("SELECT * FROM shop.item WHERE code = 'c7'")
    run("CREATE INDEX wide ON shop.item (code, note)")
    settle(run)
    report = look("indexes", limits=(ALL_SIZES,))
    assert {(each.check, each.object) for each in report.findings} == {("prefix-index", "shop.first")}


def test_invalid_with_what_mends_it(run: Run, look: Look) -> None:
    with pytest.raises(psycopg2.errors.UniqueViolation):
        run("CREATE UNIQUE INDEX CONCURRENTLY bad ON shop.item (note)")
    report = look("indexes", limits=(ALL_SIZES,))
    assert {each.check for each in report.findings} == {"invalid-index"}
    (finding,) = found(report, "invalid-index").values()
    assert finding.object == "shop.bad"
    assert isinstance(finding.remedy, Sql)
    run(finding.remedy.statement)
    assert look("indexes", limits=(ALL_SIZES,)).findings == ()


def test_a_foreign_key_without_an_index(run: Run, look: Look) -> None:
    run("DROP INDEX shop.item_owner")
    (finding,) = found(look("unindexed-foreign-key"), "unindexed-foreign-key").values()
    assert finding.object == "shop.item.item_owner_fkey"
    assert finding.severity is Severity.INFO
    assert finding.remedy == Migration(statement="CREATE INDEX ON shop.item (owner)")
    run("INSERT INTO shop.owner VALUES (200, 'x'); DELETE FROM shop.owner WHERE id = 200")
    settle(run)
    (finding,) = found(look("unindexed-foreign-key"), "unindexed-foreign-key").values()
    assert (finding.severity, finding.evidence["parent_deletes"]) == (Severity.WARNING, 1)
    assert (
        found(look("unindexed-foreign-key", limits=("unindexed-foreign-key.rows=5001",)), "unindexed-foreign-key") == {}
    )


@pytest.mark.parametrize(
    ("definition", "is_enough"),
    [
        ("(owner, code)", True),
        ("(owner) WHERE owner IS NOT NULL", True),
        ("USING hash (owner)", True),
        ("(code, owner)", False),
        ("((owner + 0))", False),
        ("(owner) WHERE owner > 5", False),
        ("(owner) WHERE owner IS NOT NULL AND id > 5", False),
        ("USING brin (owner)", False),
    ],
)
def test_which_index_a_foreign_key_can_use(run: Run, look: Look, definition: str, is_enough: bool) -> None:
    """And the server agrees: the query of the foreign key's trigger, planned as it is, for any value."""
    run("DROP INDEX shop.item_owner")
    on = "" if definition.startswith("USING") else "USING btree "
    run(f"CREATE INDEX candidate ON shop.item {on}{definition}")
    assert bool(found(look("unindexed-foreign-key"), "unindexed-foreign-key")) is not is_enough
    run("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
    run("PREPARE trigger_query (int) AS SELECT 1 FROM ONLY shop.item AS x WHERE $1 = owner FOR KEY SHARE OF x")
    plan = "\n".join(row[0] for row in run("EXPLAIN EXECUTE trigger_query (1)"))
    looks_up = "candidate" in plan and "Index Cond" in plan
    assert looks_up or not is_enough, plan
    if "brin" not in definition and not definition.startswith("(code"):
        assert looks_up is is_enough, plan


def test_keys_of_several_columns(run: Run, look: Look) -> None:
    run("CREATE TABLE shop.pair (a int, b int, PRIMARY KEY (a, b))")
    run("CREATE TABLE shop.ref (x int, y int, FOREIGN KEY (x, y) REFERENCES shop.pair)")
    run("INSERT INTO shop.pair SELECT g, g FROM generate_series(1, 2000) AS g")
    run("INSERT INTO shop.ref SELECT * FROM shop.pair; ANALYZE shop.ref")
    (finding,) = found(look("unindexed-foreign-key"), "unindexed-foreign-key").values()
    assert finding.remedy == Migration(statement="CREATE INDEX ON shop.ref (x, y)")
    run("DELETE FROM shop.ref WHERE x = 1; DELETE FROM shop.pair WHERE a = 1; CREATE INDEX ref_y ON shop.ref (y)")
    settle(run)
    (finding,) = found(look("unindexed-foreign-key"), "unindexed-foreign-key").values()
    assert finding.severity is Severity.INFO
    assert finding.doubts == ("shop.ref_y finds them by a part of the columns",)
    run("CREATE INDEX ref_yx ON shop.ref (y, x)")
    assert found(look("unindexed-foreign-key"), "unindexed-foreign-key") == {}


def test_partitions(run: Run, look: Look) -> None:
    run("CREATE TABLE shop.log (at int, owner int REFERENCES shop.owner) PARTITION BY RANGE (at)")
    run("CREATE TABLE shop.log_1 PARTITION OF shop.log FOR VALUES FROM (0) TO (5000)")
    run("CREATE TABLE shop.log_2 PARTITION OF shop.log FOR VALUES FROM (5000) TO (10000)")
    run("INSERT INTO shop.log SELECT g, 1 + mod(g, 100) FROM generate_series(1, 9999) AS g; ANALYZE shop.log")
    (finding,) = found(look("unindexed-foreign-key"), "unindexed-foreign-key").values()
    assert finding.object == "shop.log.log_owner_fkey"
    assert finding.remedy == Migration(statement="CREATE INDEX ON shop.log (owner)", asks_server=True)
    run("CREATE INDEX log_1_owner ON shop.log_1 (owner)")
    assert found(look("unindexed-foreign-key"), "unindexed-foreign-key")
    run("CREATE INDEX log_2_owner ON shop.log_2 (owner)")
    assert found(look("unindexed-foreign-key"), "unindexed-foreign-key") == {}
    run("CREATE INDEX log_at ON shop.log (at); CREATE INDEX log_at_owner ON shop.log (at, owner)")
    run("CREATE INDEX log_1_at ON shop.log_1 (at)")
    report = look("indexes", limits=(ALL_SIZES,))
    told = {(each.check, each.object) for each in report.findings}
    assert told == {
        ("prefix-index", "shop.log_at"),
        ("duplicate-index", "shop.log_1_at"),
        ("unused-index", "shop.log_at_owner"),
    }
    run("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    run("SELECT count(*) FROM shop.log_2 WHERE at = 6000 AND owner = 1")
    settle(run)
    assert found(look("indexes", limits=(ALL_SIZES,)), "unused-index") == {}


def test_an_index_of_nulls(run: Run, look: Look, tmp_path: Path, database_url: str) -> None:
    run("ALTER TABLE shop.item ADD gone int; UPDATE shop.item SET gone = id WHERE id < 50")
    run("CREATE INDEX item_gone ON shop.item (gone); ANALYZE shop.item; SET enable_seqscan = off")
    run("SELECT * FROM shop.item WHERE gone = 3")
    settle(run)
    assert look("null-heavy-index").findings == ()
    limits = ("null-heavy-index.bytes=8kB",)
    (finding,) = found(look("indexes", limits=limits), "null-heavy-index").values()
    assert finding.evidence["null_frac"] == 0.99
    assert isinstance(finding.remedy, Migration)
    host: Host = make_host(tmp_path / "host", database_url)
    words = ["migrate", "new", "--config", str(host.ini), "--url", database_url]
    done = CliRunner().invoke(app, [*words, "--replaces", finding.remedy.replaces or "", finding.remedy.statement])
    assert done.exit_code == 0, done.output
    host.alembic("upgrade", "head")
    assert look("indexes", limits=limits).findings == ()
    assert [row[0] for row in run("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%(gone)%'")] == [
        "CREATE INDEX ix_item_gone_48b264 ON shop.item USING btree (gone) WHERE (gone IS NOT NULL)"
    ]


def test_the_command_that_is_told_makes_the_revision(
    run: Run, dbtune: Dbtune, tmp_path: Path, database_url: str
) -> None:
    run('CREATE INDEX "Odd $Name" ON shop.item ("Mixed Case")')
    run("DROP INDEX shop.item_owner")
    host = make_host(tmp_path / "host", database_url)
    findings = {each["check"]: each for each in json.loads(dbtune("indexes", "--format", "json").stdout)["findings"]}
    for check in ("unused-index", "unindexed-foreign-key"):
        script = f'dbtune() {{ {sys.executable} -m dbtune "$@"; }}; {findings[check]["command"]["line"]}'
        environment = os.environ | {"DBTUNE_URL": database_url}
        subprocess.run(["sh", "-c", script], cwd=host.folder, env=environment, check=True, capture_output=True)
    host.alembic("upgrade", "head")
    left = {row[0] for row in run("SELECT indexname FROM pg_indexes WHERE schemaname = 'shop'")}
    assert left == {"item_pkey", "owner_pkey", "ix_item_owner"}
    assert json.loads(dbtune("indexes", "--format", "json").stdout)["findings"] == []
