"""dbtune advise, as users run it: on a twin, on a copy, from a file; what it prints, refuses and never does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.snapshot import file, read
from dbtune.workload import lexer
from dbtune.workload.lexer import Kind
from tests.cli.conftest import Run, settle


@pytest.fixture
def items(db: Connection, database_url: str) -> Connection:
    db.exec_driver_sql("CREATE TABLE item (id int PRIMARY KEY, owner int, code text)")
    db.exec_driver_sql("INSERT INTO item SELECT g, mod(g, 5000), repeat('x', 60) FROM generate_series(1, 50000) AS g")
    db.exec_driver_sql("CREATE INDEX item_code ON item (code)")
    db.commit()
    with connect(Target(make_url(database_url), "test")) as other:
        other.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM (ANALYZE) item")
    return db


def test_the_twin_gives_the_advice_and_says_how_sure_it_is(run: Run) -> None:
    done = run("advise")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "1. CREATE INDEX ix_item_owner ON public.item (owner)" in done.stdout
    assert "helps by-owner (frequent) ×20" in done.stdout
    assert "Planned on twin of PostgreSQL" in done.stdout
    assert "the twin plans all 4 questions as the server does" in " ".join(done.stdout.split())
    assert "item_code: candidate: no scan was counted" in " ".join(done.stdout.split())
    assert "by-id: its rows are looked up by an index already (item_pkey)" in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_sql_is_the_statements_and_nothing_else(run: Run, items: Connection) -> None:
    done = run("advise", "--format", "sql")
    assert done.stdout == "CREATE INDEX ix_item_owner ON public.item (owner);\n"
    for statement in done.stdout.splitlines():
        items.exec_driver_sql(statement)
    items.commit()
    again = run("advise", "--format", "sql")
    assert (again.returncode, again.stdout) == (0, "")


def test_json_has_it_all_as_numbers(run: Run, tmp_path: Path) -> None:
    done = run("advise", "--format", "json", "--frontier", "--output", "advice.json")
    assert (done.returncode, done.stdout) == (0, "")
    advice = json.loads((tmp_path / "advice.json").read_text())
    assert advice["command"] == "advise"
    assert advice["schema_version"] == 1
    assert advice["method"] == "twin"
    (made,) = advice["recommendations"]
    assert made["definition"] == "CREATE INDEX ix_item_owner ON public.item (owner)"
    assert made["confidence"] in ("high", "medium")
    assert isinstance(made["bytes"], int)
    assert advice["cost"]["after"] < advice["cost"]["before"]
    assert advice["gap"] <= 0.01
    assert len(advice["frontier"]) >= 2
    assert advice["complete"] is True


def test_markdown_is_a_table(run: Run) -> None:
    done = run("advise", "--format", "markdown")
    assert "| `CREATE INDEX ix_item_owner ON public.item (owner)` |" in done.stdout


def test_it_is_the_same_to_the_byte_whatever_the_hash_seed_and_however_many_ask(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    run("snapshot", "--output", "taken.json")
    command = [sys.executable, "-m", "dbtune", "advise", "--format", "json", "--snapshot", "taken.json", "--jobs"]
    outputs = {
        subprocess.check_output([*command, jobs], cwd=tmp_path, env=environment | {"PYTHONHASHSEED": seed}, text=True)
        for seed, jobs in (("1", "1"), ("2", "2"))
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 1000


def test_a_snapshot_stands_in_for_the_server(run: Run, items: Connection, tmp_path: Path) -> None:
    file.save(read.read(items), tmp_path / "it.snapshot")
    items.rollback()
    done = run("advise", "--snapshot", "it.snapshot", DBTUNE_URL="postgresql://nobody@127.0.0.1:1/nowhere")
    assert done.returncode == 0, done.stderr
    assert "CREATE INDEX ix_item_owner ON public.item (owner)" in done.stdout
    assert "were not compared with the server's" in " ".join(done.stdout.split())


def test_a_plain_folder_of_statements_is_a_workload(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a.sql").write_text("SELECT * FROM item WHERE owner = 7;\n")
    (folder / "b.sql").write_text("-- nothing special\nSELECT count(*) FROM item\n")
    done = run("advise", "--query-dir", folder, "--budget", "50%", "--format", "sql")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "CREATE INDEX ix_item_owner ON public.item (owner);\n"


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(run: Run, queries: Path) -> None:
    (queries / "broken.sql").write_text("SELECT 'no end\n")
    (queries / "missing.sql").write_text("SELECT * FROM gone WHERE a = 1\n")
    done = run("advise")
    assert done.returncode == 2
    assert "broken.sql" in done.stderr
    assert "CREATE INDEX ix_item_owner" in done.stdout
    assert 'missing: it cannot be planned: relation "gone" does not exist' in " ".join(done.stdout.split())


def test_no_budget_is_no_index(run: Run) -> None:
    done = run("advise", "--budget", "0")
    assert done.returncode == 0
    assert "No index is advised" in done.stdout
    assert run("advise", "--budget", "0", "--format", "sql").stdout == ""


def test_bad_usage_is_one_line_and_exit_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no.snapshot").write_text("{}")
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        (("--budget", "lots"), "--budget lots"),
        (("--query-dir", "nowhere"), "nowhere"),
        (("--query-dir", "empty"), "holds no .sql file"),
        (("--snapshot", "absent.snapshot"), "absent.snapshot"),
        (("--snapshot", "no.snapshot"), "no.snapshot"),
        (("--forbid", "nonsense"), "--forbid nonsense"),
        (("--measure",), "--copy URL"),
        (("--requests", "absent.jsonl"), "absent.jsonl"),
        (("by-nobody",), "by-nobody"),
    ):
        done = run("advise", *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stdout == ""


def test_servers_that_cannot_be_used_are_exit_3(run: Run, database_url: str) -> None:
    gone = run("advise", DBTUNE_URL="postgresql://nobody@127.0.0.1:1/nowhere")
    assert gone.returncode == 3
    assert len(gone.stderr.splitlines()) == 1
    wrong = run("advise", DBTUNE_URL=make_url(database_url).set(database="postgres").render_as_string())
    assert wrong.returncode == 3
    assert "can be planned" in wrong.stderr
    hypopg = run("advise", "--what-if", "hypopg")
    assert hypopg.returncode == 3
    assert "CREATE EXTENSION hypopg" in hypopg.stderr


def test_a_copy_takes_its_word_and_production_never(run: Run, items: Connection) -> None:
    without = run("advise", "--what-if", "real")
    assert without.returncode == 4
    assert "--throw-away" in without.stderr
    done = run("advise", "--what-if", "real", "--throw-away", "--measure")
    assert done.returncode == 0, done.stderr
    assert "CREATE INDEX ix_item_owner ON public.item (owner)" in done.stdout
    assert " blocks" in done.stdout
    name = items.exec_driver_sql("SELECT current_database()").scalar()
    items.exec_driver_sql(f"ALTER DATABASE {name} SET dbtune.production = on")
    items.commit()
    refused = run("advise", "--what-if", "real", "--throw-away")
    assert refused.returncode == 4
    assert "production" in refused.stderr
    measured = run("advise", "--measure", "--throw-away")
    assert measured.returncode == 4
    names = items.exec_driver_sql("SELECT indexname FROM pg_indexes WHERE tablename = 'item' ORDER BY 1").scalars()
    assert list(names) == ["item_code", "item_pkey"]


def test_fail_on_advice(run: Run) -> None:
    assert run("advise", "--fail-on", "low").returncode == 1
    assert run("advise", "--fail-on", "low", "--forbid", "item").returncode == 0


def test_n_plus_one_is_shown_by_captured_requests(run: Run, tmp_path: Path) -> None:
    from dbtune.workload.requests import fingerprint_hash

    hashed = fingerprint_hash("SELECT * FROM item WHERE id = $1")
    lines = [
        json.dumps(
            {
                "time": f"2026-01-01T00:00:00.{n:03}+00:00",
                "route": "GET /items",
                "fingerprint": hashed,
                "parameters": f"{n}",
            }
        )
        for n in range(40)
    ]
    (tmp_path / "requests.jsonl").write_text("\n".join(lines) + "\n")
    done = run("advise", "--requests", "requests.jsonl")
    assert "40 times in a row by GET /items" in " ".join(done.stdout.split())


def test_ctrl_c_ends_with_130_and_leaves_no_server(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dbtune", "advise"],
        cwd=tmp_path,
        env=environment | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    tmp_path.chmod(0o755)
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode in (0, 130), error
    assert "Traceback" not in error


@pytest.fixture
def logging(server: EmbeddedServer, items: Connection) -> Iterator[Path]:
    """The server's log, in which every statement of this database is."""
    name = items.exec_driver_sql("SELECT current_database()").scalar()
    items.exec_driver_sql(f"ALTER DATABASE {name} SET log_statement = 'all'")
    items.exec_driver_sql(f"ALTER DATABASE {name} SET log_min_duration_statement = -1")
    items.commit()
    yield server.log


def test_production_is_read_by_catalog_queries_and_plain_explain_only(
    run: Run, logging: Path, items: Connection
) -> None:
    counted = "SELECT n_tup_ins + n_tup_upd + n_tup_del, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables"
    settle(items)
    before = items.exec_driver_sql(counted).one()
    items.rollback()
    start = logging.stat().st_size
    done = run("advise")
    assert done.returncode == 0, done.stderr
    with logging.open() as log:
        log.seek(start)
        text = log.read()
    said = _statements(text)
    assert len(said) > 20
    allowed = (
        "BEGIN",
        "ROLLBACK",
        "COMMIT",
        "SET ",
        "SHOW ",
        "RESET ALL",
        "DEALLOCATE",
        "PREPARE ",
        "SAVEPOINT",
        "RELEASE",
    )
    for statement in said:
        bare = _bare(statement)
        if bare.upper().startswith(allowed):
            continue
        if bare.startswith("EXPLAIN"):
            assert bare.startswith("EXPLAIN (VERBOSE, FORMAT JSON)"), statement
            continue
        assert bare.upper().startswith(("SELECT", "WITH", "LOCK TABLE")), statement
        if bare.upper().startswith(("SELECT", "WITH")):
            assert not re.search(r"\b(FROM|JOIN)\s+(public\.)?item\b", bare), statement
    settle(items)
    assert items.exec_driver_sql(counted).one() == before


def _statements(text: str) -> list[str]:
    """Return what the log says was sent, each statement in one line."""
    found: list[str] = []
    for line in text.splitlines():
        if " LOG:  statement: " in line or " LOG:  execute " in line:
            found.append(line.partition("statement: ")[2] or line.partition(": ")[2])
        elif found and line.startswith("\t"):
            found[-1] += "\n" + line.strip()
    return found


def _bare(statement: str) -> str:
    """Return a statement without the comments that lead it."""
    tokens = [t for t in lexer.tokens(statement) if t.kind is not Kind.COMMENT]
    return " ".join("".join(t.text for t in tokens).split())


def test_a_local_cluster_of_two_worker_processes_gives_the_same_answer(run: Run) -> None:
    distributed = pytest.importorskip("distributed")
    run("snapshot", "--output", "taken.json")  # autovacuum may change a server between two readings of it
    alone = run("advise", "--format", "json", "--snapshot", "taken.json")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as cluster:
        cluster_options = ["--snapshot", "taken.json", "--cluster", cluster.scheduler_address]
        spread = run("advise", "--format", "json", *cluster_options)
    assert spread.returncode == 0, spread.stderr
    assert spread.stdout == alone.stdout
