"""``dbtune migrate verify`` tells revisions that survive faults from those that do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dbtune.errors import ServerError, UsageError
from dbtune.migration.project import Project
from dbtune.migration.verify.injections import ALL
from dbtune.migration.verify.inventory import Inventory, Thing
from dbtune.migration.verify.judge import Result
from dbtune.migration.verify.process import telling
from dbtune.migration.verify.scene import ALEMBIC, APPLY
from dbtune.migration.verify.subject import describe, subject
from dbtune.migration.verify.verification import Report, Wanted, chosen, verify
from tests.migration.conftest import Host, make_host, wait_for

CHECKOUT = Path(__file__).parents[2]
NOWHERE = "postgresql+psycopg2://app:secret@nowhere.invalid/shop"
TABLE = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "table", None, None, None
def upgrade():
    op.execute("CREATE TABLE item (id int PRIMARY KEY, owner int NOT NULL, name text)")
def downgrade():
    op.execute("DROP TABLE item")
"""
INDEX = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "index", "table", None, None
def upgrade():
    {upgrade}
def downgrade():
    op.drop_index("item_owner", "item")
"""
CONCURRENTLY = "with op.get_context().autocommit_block():\n        "


def write(folder: Path, upgrade: str) -> Host:
    """A project whose second revision does that."""
    host = make_host(folder / "host", NOWHERE)
    for name, text in (("table", TABLE), ("index", INDEX.format(upgrade=upgrade))):
        (host.folder / "alembic" / "versions" / f"{name}.py").write_text(text)
    return host


def judged(host: Host, config: pytest.Config, *only: str, plain: bool = False) -> dict[tuple[str, str], Result]:
    report = report_of(host, config, *only, plain=plain)
    return {(each.fault, each.way): each for each in report.results}


def report_of(host: Host, config: pytest.Config, *only: str, plain: bool = False) -> Report:
    bindir = config.getoption("--pg-bindir")
    return verify(Project(host.ini), Wanted(revision="head", rows=20_000, plain=plain, only=only, bindir=bindir))


def test_an_index_that_blocks_writes(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    host = write(tmp_path, 'op.create_index("item_owner", "item", ["owner"])')
    report = report_of(host, pytestconfig, "open-writer", "backend-killed-*", "down-up")
    found = {each.fault: each for each in report.results}
    assert (report.made, report.tables[0].rows) == (("public.item_owner",), 20_000)
    assert found["open-writer"].problems == (
        "holds up every write behind it for as long as it waits for an open transaction",
    )
    assert found["open-writer"].converges
    assert found["backend-killed-scan"].converges
    assert "CONCURRENTLY" in (found["backend-killed-validation"].skipped or "")
    assert found["down-up"].exits == (0,) * 7
    assert found["down-up"].is_fine


def test_if_not_exists_notes_what_is_not_there(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    host = write(
        tmp_path,
        CONCURRENTLY
        + 'op.create_index("item_owner", "item", ["owner"], postgresql_concurrently=True, if_not_exists=True)',
    )
    found = judged(host, pytestconfig, "leftover-ready", "orphan", plain=True)
    assert found["leftover-ready", ALEMBIC].left == "INVALID, costs writes, noted"
    for each in found.values():
        assert "noted as done, and it is not" in each.problems, each
        assert "public.item_owner" in each.problems[1]
        assert (each.again, each.converges, each.untouched) == (0, False, True)


def test_a_drop_by_name_touches_what_is_somebody_else_s(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    drop = 'op.execute("DROP INDEX CONCURRENTLY IF EXISTS item_owner")'
    build = 'op.create_index("item_owner", "item", ["owner"], postgresql_concurrently=True, unique=True)'
    host = write(tmp_path, f"{CONCURRENTLY}{drop}\n        {build}")
    found = judged(host, pytestconfig, "leftover", "leftover-elsewhere", "duplicates", "no-room")
    assert found["leftover", APPLY].is_fine
    assert found["leftover-elsewhere", APPLY].problems == ("touches what is not its own: index public.item_owner",)
    assert not found["leftover-elsewhere", APPLY].untouched
    assert found["duplicates", APPLY].exits == (3,)
    assert found["duplicates", APPLY].left == "INVALID"
    assert found["duplicates", APPLY].converges
    assert "temp_file_limit" in found["no-room", APPLY].said


def test_a_revision_of_the_party_schema(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    bindir = pytestconfig.getoption("--pg-bindir")
    output = tmp_path / "report.json"
    faults = ("script-goes-on", "writer-over-budget")
    arguments = ["--format=json", *(f"--only={name}" for name in faults)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dbtune", "migrate", "verify", "0004_businesses_by_respondent"),
            *(*arguments, f"--output={output}", *([f"--pg-bindir={bindir}"] if bindir else [])),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    report = json.loads(output.read_text())
    assert (report["schema_version"], report["command"], report["is_fine"]) == (1, "migrate verify", True)
    assert report["made"] == ["partysvc.business_respondent_respondent_id_idx"]
    assert report["tables"][0]["table"] == "partysvc.business_respondent"
    assert {each["fault"]: each["skipped"] for each in report["results"]} == {
        "writer-over-budget": None,
        "script-goes-on": None,
    }
    assert all(each["converges"] and each["untouched"] and each["is_fine"] for each in report["results"])
    assert [(each["exits"], each["left"]) for each in report["results"]] == [
        *(([5], "INVALID"), ([0], "a table of the name"))
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_is_stopped(tmp_path: Path, data_dir: Path, number: signal.Signals) -> None:
    host = write(tmp_path, 'op.create_index("item_owner", "item", ["owner"])')
    folder = data_dir / number.name
    folder.mkdir()
    folder.chmod(0o1777)  # as /tmp is
    with subprocess.Popen(
        [sys.executable, "-m", "dbtune", "migrate", "verify", "--config", str(host.ini), "--only", "open-writer"],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: bool(list(folder.glob("*/client-*.errors"))), 60)
        (home,) = folder.iterdir()
        postmaster = int((home / "data" / "postmaster.pid").read_text().splitlines()[0])
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == (-number if number is signal.SIGKILL else 128 + number)
    assert "Traceback" not in said
    wait_for(lambda: not home.exists())
    wait_for(lambda: not Path(f"/proc/{postmaster}/cwd").exists())


def test_a_revision_that_fails_by_itself(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """It names a role that there is not before it fails."""
    host = write(tmp_path, 'op.execute("CREATE INDEX ON nothing (id)")')
    table = host.folder / "alembic" / "versions" / "table.py"
    table.write_text(table.read_text().replace("name text)", "name text); GRANT SELECT ON item TO reader"))
    with pytest.raises(ServerError, match=r"revision index fails with nothing in its way.*does not exist"):
        report_of(host, pytestconfig, "nothing")


def test_names_of_faults() -> None:
    assert len({fault.name for fault in ALL}) == len(ALL)
    assert [fault.name for fault in chosen(["no*-room", "client-sig*"])] == [
        *("client-sigint", "client-sigterm", "client-sigkill", "no-room")
    ]
    assert chosen([]) == list(ALL)
    with pytest.raises(UsageError, match="--list"):
        chosen(["nosuch"])


def thing(name: str, oid: int, **options: object) -> Thing:
    """An index of that name, valid on table 1."""
    values: dict[str, object] = {"kind": "index", "definition": name, "sound": "ttt", "of_table": 1, **options}
    defaults = {"schema": "s", "file": 1, "comment": None, "is_unique": False, "is_needed": False}
    return Thing(name=name, oid=oid, **{**defaults, **values})  # type: ignore[arg-type]


def things(*found: Thing, noted: str = "") -> Inventory:
    table = thing("t", 1, kind="table", sound=None)
    return Inventory({each.oid: each for each in (table, *found)}, frozenset({noted}))


def test_states_in_words() -> None:
    old, new, more = thing("old", 2), thing("new", 3), thing("more", 4)
    one = subject("r", things(old), things(old, new))
    assert describe(one, things(old)) == "no index"
    assert describe(one, things(old, new, noted="r")) == "valid, noted"
    assert describe(one, things(thing("new", 3, sound="fft")), "still being built") == "INVALID, still being built"
    assert describe(one, things(thing("new", 3, sound="ftt"))) == "INVALID, costs writes"
    assert describe(one, things(thing("new", 3, sound="ftt", is_unique=True))) == "INVALID, rejects writes"
    assert describe(one, things(thing("new", 3, definition="x"))) == "another index of the name"
    assert describe(one, things(thing("new", 3, kind="view", sound=None))) == "a view of the name"
    assert describe(one, things(new, thing("dbtune_drop_1", 5))) == "valid, one set aside"
    several = subject("r", things(old), things(new, more))
    assert describe(several, things(old, new)) == "1 valid, 1 no index, old one there"
    assert describe(several, things(new, more)) == "all 2 valid, old one gone"
    assert describe(several, things(old)) == "none of 2 indexes, old one there"


def test_a_revision_that_makes_a_table_of_its_own_is_not_judged() -> None:
    with pytest.raises(UsageError, match="touches no table that was there before"):
        subject("r", things(), things(thing("t2", 5, kind="table", sound=None, of_table=5), thing("i", 6, of_table=5)))


def test_the_line_that_tells_why() -> None:
    output = (
        "INFO  [alembic] x\nTraceback:\nsqlalchemy.exc.X: ...\nsqlalchemy.exc.ProgrammingError: no\n[SQL: CREATE]\n"
    )
    assert telling(output) == "sqlalchemy.exc.ProgrammingError: no"
    assert telling("one\n\ndbtune: two\nthree") == "dbtune: two"
    assert telling("one\ntwo\n") == "two"
    assert telling("") == ""
