"""dbtune check and explain's --save and --compare: from a baseline to a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.cli.conftest import Run


@pytest.fixture
def baseline(run: Run, items: Connection, tmp_path: Path) -> Path:
    """A baseline of a database with an index on owner."""
    items.exec_driver_sql("CREATE INDEX item_owner ON item (owner)")
    items.commit()
    done = run("explain", "--save", "before.json", "--quiet")
    assert done.returncode == 0, done.stderr
    return tmp_path / "before.json"


def test_the_same_database_passes_every_time(run: Run, baseline: Path) -> None:
    for _ in range(3):
        done = run("check", "--baseline", baseline)
        assert (done.returncode, done.stdout) == (0, "3 queries checked: no violation\n"), done.stderr


def test_a_dropped_index_fails(run: Run, baseline: Path, items: Connection) -> None:
    items.exec_driver_sql("DROP INDEX item_owner")
    items.commit()
    done = run("check", "--baseline", baseline)
    assert done.returncode == 1
    told = " ".join(done.stdout.split())
    assert "FAIL by-owner: no index can look up the rows of public.item any more" in told
    assert "[more-buffers]" in told
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert run("check", "by-id", "--baseline", baseline).returncode == 0
    document = json.loads(run("check", "--baseline", baseline, "--format", "json").stdout)
    assert {v["check"] for v in document["violations"]} == {"lost-index-path", "more-buffers"}


def test_a_table_so_small_that_a_scan_is_right_still_passes(run: Run, baseline: Path, items: Connection) -> None:
    items.exec_driver_sql("DELETE FROM item WHERE id > 20")
    items.commit()
    items.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM FULL ANALYZE item")
    done = run("explain", "--compare", baseline)
    assert "Seq Scan" in done.stdout
    assert run("check", "--baseline", baseline).returncode == 0


def test_an_accepted_violation_has_a_reason_and_an_end(
    run: Run, baseline: Path, items: Connection, queries: Path
) -> None:
    items.exec_driver_sql("DROP INDEX item_owner")
    items.commit()
    entry = "- {{query: by-owner, check: {}, reason: to be rebuilt, expires: {}}}\n"
    file = queries / "ignore.yaml"
    file.write_text(entry.format("lost-index-path", "2999-01-01") + entry.format("more-buffers", "2999-01-01"))
    done = run("check", "--baseline", baseline)
    assert done.returncode == 0
    assert "2 ignored" in done.stdout
    file.write_text(entry.format("lost-index-path", "2020-01-01"))
    assert run("check", "--baseline", baseline).returncode == 1
    file.write_text("- {query: by-owner}\n")
    wrong = run("check", "--baseline", baseline)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("dbtune: queries/ignore.yaml: entry 1 must have a check")


def test_what_changed_is_told_query_by_query(run: Run, baseline: Path, items: Connection) -> None:
    assert run("explain", "--compare", baseline).stdout.startswith("0 of 3 queries changed")
    items.exec_driver_sql("DROP INDEX item_owner")
    items.commit()
    done = run("explain", "--compare", baseline)
    assert done.returncode == 0
    assert "1 of 3 queries changed" in done.stdout
    assert "− public.item: Bitmap Heap Scan using item_owner → Seq Scan" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    wide = run("explain", "--compare", baseline, "--format", "markdown")
    assert "| by-owner" in wide.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say what to compare with: --baseline FILE"),
        (["--baseline", "nowhere.json"], "nowhere.json: cannot be read: No such file or directory"),
        (["--baseline", "queries/by-id.sql"], "queries/by-id.sql:1: is not JSON"),
        (["--baseline", "cut.json"], "is not JSON (Unterminated string"),
    ],
)
def test_wrong_usage(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "cut.json").write_text('{"schema_version": 1, "comm')
    done = run("check", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_baseline_of_another_major_version_is_noted(run: Run, baseline: Path) -> None:
    document = json.loads(baseline.read_text())
    document["server"]["version"] = "9.6"
    baseline.write_text(json.dumps(document))
    done = run("check", "--baseline", baseline)
    assert done.returncode == 0
    assert "note the baseline is of PostgreSQL 9.6" in done.stdout
