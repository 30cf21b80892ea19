from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from dbtune.cli import app
from dbtune.errors import Unsafe, UsageError
from dbtune.party import capture, data, schema
from dbtune.party.routes import ROUTES
from dbtune.party.rows import FEWEST_BUSINESSES, Scale
from dbtune.sql import quote_literal
from dbtune.workload import files
from dbtune.workload.capture.sqlalchemy import record
from dbtune.workload.query import ParameterSet, Query

SHIPPED = Path(__file__).parents[2] / "queries"


def captured(db: Connection) -> list[Query]:
    return capture.capture(db, capture.prepare(db))


@pytest.fixture(scope="module")
def folder(party_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The query files of one capture, by the command."""
    made = tmp_path_factory.mktemp("queries")
    result = CliRunner().invoke(app, ["party", "capture", "--url", party_url, "--query-dir", str(made)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"to {len(ROUTES)} routes" in result.stdout
    yield made


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_second_capture_gives_the_same_bytes(party: Connection, folder: Path, tmp_path: Path) -> None:
    queries = captured(party)
    capture.write(queries, tmp_path)
    assert texts(tmp_path) == texts(folder)
    assert capture.write(queries, tmp_path) == capture.Written(changed=0, unchanged=len(queries), removed=0)


def test_the_files_load_and_cover_every_route(folder: Path) -> None:
    loaded = files.load_folder(folder)
    assert loaded.problems == ()
    queries = loaded.workload.queries
    assert len(queries) >= 25
    assert len({query.statement for query in queries}) == len(queries)
    assert all(query.source == "sqlalchemy" and query.calls and query.mean_ms is None for query in queries)
    with_parameters = [query for query in queries if "$1" in query.statement]
    assert all(query.types and query.sets for query in with_parameters)


def test_every_route_sends_something(party: Connection) -> None:
    with record(party.engine) as recorder:
        for request in capture.prepare(party):
            with recorder.route(str(request.route)), Session(party.engine) as session:
                capture.run(session, request)
    assert {execution.route for execution in recorder.executions} == set(map(str, ROUTES))


def test_every_parameter_set_explains(party: Connection, folder: Path) -> None:
    for query in files.load_folder(folder).workload.queries:
        party.exec_driver_sql(
            f"PREPARE captured ({', '.join(query.types)}) AS {query.statement}",
            execution_options={"no_parameters": True},
        )
        for chosen in query.sets:
            values = ", ".join(map(quote_literal, chosen.values))
            plan = party.exec_driver_sql(
                f"EXPLAIN EXECUTE captured ({values})", execution_options={"no_parameters": True}
            )
            assert plan.all()
        party.exec_driver_sql("DEALLOCATE captured")
    party.rollback()


def test_frequent_rare_and_absent_values_give_many_rows_few_and_none(party: Connection, folder: Path) -> None:
    queries = {query.name: query for query in files.load_folder(folder).workload.queries}
    for name in ("select-business-by-party-uuid", "select-business-respondent-by-business-id"):
        query = queries[name]
        party.exec_driver_sql(f"PREPARE captured AS {query.statement}")
        rows = {}
        for chosen in query.sets:
            values = ", ".join(map(quote_literal, chosen.values))
            rows[chosen.name] = len(party.exec_driver_sql(f"EXECUTE captured ({values})").all())
        party.exec_driver_sql("DEALLOCATE captured")
        assert rows["frequent"] > rows["rare"] > rows["absent"] == 0
    party.rollback()


def test_nothing_stays_written(party: Connection) -> None:
    tables = ("business", "business_attributes", "respondent", "business_respondent", "enrolment", "pending_enrolment")
    content = text(
        " UNION ALL ".join(
            f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM partysvc.{t} AS t" for t in tables
        )
    )
    before = party.execute(content).all()
    party.rollback()
    captured(party)
    assert party.execute(content).all() == before


def test_it_works_on_very_little(db: Connection) -> None:
    data.load(db, Scale(businesses=FEWEST_BUSINESSES))
    assert len(captured(db)) >= 25


@pytest.mark.parametrize("tables", [False, True], ids=["no tables", "empty tables"])
def test_without_data_it_says_how_to_get_some(db: Connection, tables: bool) -> None:
    if tables:
        schema.upgrade(db)
    with pytest.raises(UsageError, match="dbtune party load"):
        capture.prepare(db)


def test_somebody_s_own_data_are_left_alone(db: Connection) -> None:
    schema.upgrade(db)
    db.execute(text("INSERT INTO partysvc.business VALUES (gen_random_uuid(), '1', now())"))
    db.commit()
    with pytest.raises(Unsafe, match="was not loaded by dbtune"):
        capture.prepare(db)


def query(name: str, route: str | None = str(ROUTES[0])) -> Query:
    sets = (ParameterSet(name="frequent", values=("1",)),)
    return Query(name=name, statement="SELECT $1", types=("text",), sets=sets, route=route, source="sqlalchemy")


def test_stale_files_of_a_capture_go_and_others_stay(tmp_path: Path) -> None:
    capture.write([query("a"), query("b")], tmp_path)
    others = {
        "by-hand.sql": "SELECT 1;\n",
        "no-query.sql": "SELECT 1; SELECT 2;\n",
        "from-the-log.sql": f"-- dbtune: 1\n-- source: log\n-- route: {ROUTES[0]}\nSELECT 1\n",
        "another-service.sql": "-- dbtune: 1\n-- source: sqlalchemy\n-- route: GET /orders\nSELECT 1\n",
        "README.md": "mine",
    }
    for name, content in others.items():
        (tmp_path / name).write_text(content)
    shared = query("c", f"{ROUTES[3]}, {ROUTES[1]} and 3 more")
    assert capture.write([query("b"), shared], tmp_path) == capture.Written(changed=1, unchanged=1, removed=1)
    assert set(texts(tmp_path)) == {"b.sql", "c.sql", *others}
    assert {name: texts(tmp_path)[name] for name in others} == others
    assert capture.write([], tmp_path).removed == 2


def test_a_file_by_hand_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "b.sql").write_text("SELECT 1\n")
    with pytest.raises(Unsafe, match=r"b\.sql was not written by a capture"):
        capture.write([query("a"), query("b")], tmp_path)
    assert texts(tmp_path) == {"b.sql": "SELECT 1\n"}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="choose another --query-dir"):
        capture.write([query("a")], tmp_path / "file" / "below")


def test_the_shipped_files_are_of_what_the_service_sends(folder: Path) -> None:
    shipped = files.load_folder(SHIPPED)
    assert shipped.problems == ()
    assert {query.name for query in shipped.workload.queries} >= {Path(name).stem for name in texts(folder)}
