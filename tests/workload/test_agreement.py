"""One run of the party service's requests, seen by three sources at once: they tell the same queries, calls and values.

``pytest -s`` prints how far they agree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column

from dbtune.capture.sqlalchemy import record
from dbtune.party import data, requests
from dbtune.party.capture import run
from dbtune.party.requests import Request
from dbtune.party.rows import Scale
from dbtune.server.connection import Target, connect
from dbtune.server.embedded import EmbeddedServer
from dbtune.workload import lexer
from dbtune.workload.capture import recording, statements
from dbtune.workload.capture.collect import collect
from dbtune.workload.capture.execution import Execution
from dbtune.workload.capture.log import executions, prefix, read
from dbtune.workload.capture.statements import Captured
from dbtune.workload.lexer import Kind
from dbtune.workload.query import Query
from dbtune.workload.shape import shape
from dbtune.workload.system import is_of_system

PREFIX = "%m [%p] %q%a "
SMALL = Scale(businesses=60)
BATCH = 100
"""Rows that SQLAlchemy puts into one INSERT."""
ROWS = 253
FIRST = 10_000


Sent = tuple[str, tuple[str | None, ...]]


class Base(DeclarativeBase):
    """The tables of a small application with a value of every common type."""


class Thing(Base):
    """What is written and asked with types that drivers write differently."""

    __tablename__ = "thing"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[UUID | None]
    name: Mapped[str | None]
    is_open: Mapped[bool | None]
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
    weight: Mapped[float | None]
    made: Mapped[datetime | None]
    seen: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    day: Mapped[date | None]
    facts: Mapped[Any] = mapped_column(postgresql.JSONB, nullable=True)
    kind: Mapped[str | None] = mapped_column(sa.Enum("RED", "it's", name="kind"))
    tags: Mapped[list[str] | None] = mapped_column(postgresql.ARRAY(sa.Text))
    data: Mapped[bytes | None]


NASTY = ["', $2 = 'x", "two\nlines\n\tand a tab", "a\\b", "𝄞 äöü", "", "NULL", "it's", "100%", "%s :x $1", "{a,b}"]


def ask(engine: Engine) -> None:
    """Do what the party service does not: all types, NULLs, lists of many lengths, batches, limits, aliases."""
    with Session(engine) as session:
        _write(session)
        session.commit()
    with Session(engine) as session:
        for length in (1, 2, 3, 7, 50):
            session.scalars(sa.select(Thing).where(Thing.id.in_(range(length)))).all()
            session.execute(
                sa.select(Thing.id).where(Thing.name == sa.any_(sa.literal(NASTY[:length], sa.ARRAY(sa.Text))))
            )
        for limit in (1, 5):
            session.scalars(
                sa.select(Thing.name).where(Thing.is_open.is_(True)).order_by(Thing.id).limit(limit).offset(3)
            )
            session.scalars(sa.text(f"SELECT name FROM thing WHERE is_open AND id > -{limit} ORDER BY 1 LIMIT {limit}"))
        other = aliased(Thing)
        for is_open in (True, False):
            session.execute(
                sa.select(Thing.id, other.name).join(other, other.id == Thing.id).where(other.is_open == is_open)
            )
        for name in NASTY:
            session.execute(
                sa.select(sa.func.count()).select_from(Thing).where(Thing.name == name, Thing.price > 1)
            ).scalar()
        session.execute(
            sa.select(Thing.id).where(Thing.day.between(date(2019, 1, 1), date(2019, 1, 30)), Thing.kind == "RED")
        )
        session.execute(sa.select(Thing.id).where(Thing.facts.contains({"a": 1})))
        session.execute(sa.text("SELECT id FROM thing WHERE made > timestamp '2019-01-01 10:00' AND name IS NOT NULL"))


def _write(session: Session) -> None:
    session.add_all(
        Thing(
            id=FIRST + number,
            key=UUID(int=number) if number % 3 else None,
            name=NASTY[number % len(NASTY)] if number % 7 else None,
            is_open=(True, False, None)[number % 3],
            price=Decimal(number) / 4,
            weight=number / 8,
            made=datetime(2019, 1, 30, 12, 0, number % 60, 500),
            seen=datetime(2019, 1, 30, 12, tzinfo=UTC),
            day=date(2019, 1, 1 + number % 28),
            facts={"zebra": number, "a": [None, "it's"]} if number % 2 else None,
            kind=("RED", "it's", None)[number % 3],
            tags=["a", "b c"],
            data=bytes([number % 256, 39, 92]),
        )
        for number in range(ROWS)
    )
    session.flush()
    session.add_all([Thing(name=name) for name in ("generated", None, "three")])  # their ids come back
    session.flush()
    session.execute(
        sa.update(Thing),
        [{"id": FIRST, "name": "x", "is_open": None}, {"id": FIRST + 1, "name": None, "is_open": True}],
    )
    session.execute(sa.update(Thing).where(Thing.id == FIRST + 5).values(name=None, is_open=False))
    session.execute(sa.delete(Thing).where(Thing.id.in_([FIRST + 7, FIRST + 8, FIRST + 9])))


@dataclass(frozen=True, slots=True)
class Seen:
    """What each source saw of the same run; ``log`` is the server's log of it."""

    name: str
    url: str
    recorded: list[Execution]
    logged: list[Execution]
    counted: Captured
    log: Path
    recording: Path


@pytest.fixture(scope="module")
def logging_server(server: EmbeddedServer, data_dir: Path) -> Iterator[EmbeddedServer]:
    """A server that logs every statement to its file."""
    folder = data_dir / "agreement"
    folder.mkdir(mode=0o755)
    own = EmbeddedServer(folder, server.programs)
    own.start()
    settings = {"log_min_duration_statement": "0", "log_line_prefix": PREFIX}
    with_settings(own, *(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()))
    yield own
    own.reset()


def with_settings(server: EmbeddedServer, *changes: str) -> None:
    """Change the server's configuration, and wait until new sessions have it."""
    connection = psycopg2.connect(server.url())
    connection.autocommit = True
    with connection.cursor() as cursor:
        for change in changes:
            cursor.execute(change)
        cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.2)")
    connection.close()


@pytest.fixture(scope="module", params=["psycopg2 top", "psycopg2 all", "psycopg top", "psycopg all"])
def seen(
    request: pytest.FixtureRequest, logging_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Seen:
    driver, track = request.param.split()
    if driver == "psycopg":
        pytest.importorskip("psycopg")
    with_settings(logging_server, f"ALTER SYSTEM SET pg_stat_statements.track = '{track}'")
    url = made_database(logging_server, f"agreement_{driver}_{track}")
    folder = tmp_path_factory.mktemp("seen")
    engine = create_engine(
        url.set(drivername=f"postgresql+{driver}"),
        insertmanyvalues_page_size=BATCH,
        connect_args={"application_name": "party"},
    )
    begin = logging_server.log.stat().st_size
    with connect(Target(url, "test")) as own:
        wanted = requests.choose(own)
        counted = statements.capture(own, seconds=1, sleep=lambda _: work(engine, wanted, folder / "recording"))
    log = folder / "server.log"
    log.write_bytes(logging_server.log.read_bytes()[begin:])
    return Seen(
        name=f"PostgreSQL {logging_server.programs.major}, {driver}, track = {track}",
        url=url.render_as_string(),
        recorded=list(recording.read(folder / "recording", recording.Told())),
        logged=list(executions(read(log, prefix(PREFIX)))),
        counted=counted,
        log=log,
        recording=folder / "recording",
    )


def made_database(server: EmbeddedServer, name: str) -> sa.URL:
    """Return the URL of a new database with the party service's data and the table of the other application."""
    with_settings(server, f"CREATE DATABASE {name}")
    url = make_url(server.url()).set(drivername="postgresql+psycopg2", database=name)
    with connect(Target(url, "test")) as connection:
        connection.exec_driver_sql("CREATE EXTENSION pg_stat_statements")
        connection.commit()
        Base.metadata.create_all(connection)
        connection.commit()
        data.load(connection, SMALL)
    return url


def work(engine: Engine, wanted: Iterable[Request], path: Path) -> None:
    """Be the applications, recorded from before their first connection."""
    try:
        with record(engine, path):
            for request in wanted:
                with Session(engine) as session:
                    run(session, request)
            ask(engine)
    finally:
        engine.dispose()


def calls(found: Iterable[Execution | Query]) -> Counter[str]:
    """Return how often each shape was called."""
    counts: Counter[str] = Counter()
    for each in found:
        counts[shape(each.statement)] += each.calls or 0
    return counts


def values(found: Iterable[Execution]) -> Counter[Sent]:
    """Return how often each shape was sent with which values, in the order of the text.

    A source may have a constant, NULL or truth value in the text or beside it. Of the rows of an executemany a
    recording keeps some; the last one stands for the calls with the others, and counts once here.
    """
    counts: Counter[Sent] = Counter()
    for each in found:
        assert each.values is not None, each.statement
        if not is_of_system(each.statement):
            counts[shape(each.statement), tuple(chain.from_iterable(_in_order(each)))] += 1
    return counts


def by_shape(found: Counter[Sent]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (key, _), number in found.items():
        counts[key] += number
    return counts


def _in_order(each: Execution) -> Iterator[tuple[str | None, ...]]:
    assert each.values is not None
    tokens = [token for token in lexer.tokens(each.statement) if token.kind not in (Kind.SPACE, Kind.COMMENT)]
    for before, token in pairwise(tokens):
        word = token.text.lower()
        if token.kind is Kind.PARAMETER:
            yield canonical(each.values[int(word[1:]) - 1])
        elif token.kind is Kind.NUMBER and before.text != "(":  # not the length of a type
            yield canonical(f"-{word}" if before.text == "-" else word)
        elif token.kind is Kind.STRING:
            yield canonical(token.text[1:-1].replace("''", "'"))
        elif word in ("null", "true", "false") and before.text.lower() not in ("is", "not"):
            yield canonical(None if word == "null" else word)


def canonical(value: str | None) -> tuple[str | None, ...]:
    """Return a value in one spelling; an array as its members, for psycopg2 writes ``ARRAY['a', 'b']``."""
    if value is None:
        return (None,)
    if value[:1] in "[{" and (parsed := _json(value)) is not None:
        return (json.dumps(parsed, sort_keys=True),)
    if value[:1] == "{" and value[-1:] == "}" and value not in NASTY:
        return tuple(member for member in _members(value[1:-1]))
    if (moment := _moment(value)) is not None:
        return (moment,)
    try:
        return (str(Decimal(value).normalize()),)
    except InvalidOperation:
        return ({"t": "true", "f": "false"}.get(value, value),)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _moment(text: str) -> str | None:
    try:
        found = datetime.fromisoformat(text) if "-" in text[1:8] else None
    except ValueError:
        return None
    return None if found is None else (found if found.tzinfo is None else found.astimezone(UTC)).isoformat()


def _members(text: str) -> Iterator[str]:
    """Yield an array's members as COPY's reader of quotes and backslashes finds them."""
    member, quoted, escaped = "", False, False
    for character in f"{text},":
        if escaped or (character not in '"\\,') or (quoted and character == ","):
            member, escaped = member + character, False
        elif character == '"':
            quoted = not quoted
        elif character == "\\":
            escaped = True
        else:
            yield member
            member = ""


def row(source: str, found: Counter[str], wanted: Counter[str], sets: str, differing: str) -> str:
    missing, more = wanted - found, found - wanted
    wrong = len({*missing, *more})
    return f"{source:<20}{len(found):>13}{found.total():>7}{wrong:>15}{sets:>13}{differing:>11}"


def test_the_sources_agree(seen: Seen) -> None:
    recorded = calls(collect(seen.recorded, source=""))
    logged = calls(collect(seen.logged, source=""))
    counted = calls(seen.counted.queries)
    sent, told = values(seen.recorded), values(seen.logged)
    not_kept = recorded - by_shape(sent)
    differing = (sent - told) + (told - sent)
    for key, number in not_kept.items():
        assert by_shape(told - sent)[key] == number
        differing = Counter({each: count for each, count in differing.items() if each[0] != key or each in sent - told})
    print(f"\n{seen.name}")
    print(f"{'source':<20}{'fingerprints':>13}{'calls':>7}{'disagreements':>15}{'value tuples':>13}{'differing':>11}")
    print(row("SQLAlchemy", recorded, recorded, str(sent.total()), "0"))
    print(row("server log", logged, recorded, str(told.total() - not_kept.total()), str(differing.total())))
    print(row("pg_stat_statements", counted, recorded, "-", "-"))
    assert len(recorded) > 35
    assert recorded.total() > 200
    assert sent.total() + not_kept.total() == recorded.total()
    assert logged == recorded
    assert counted == recorded
    assert not differing
