"""What a snapshot holds, in numbers and on one screen."""

from __future__ import annotations

from dataclasses import replace

from dbtune.render import snapshot as rendered
from dbtune.snapshot.summary import summary
from dbtune.snapshot.value import BLOCK, Column, SchemaObject, Snapshot, Table, Unseen
from tests.snapshot import example


def known(**changes: object) -> Snapshot:
    return replace(example.snapshot(example.text("name", "ada")), **changes)  # type: ignore[arg-type]


def column(*, hidden: bool = False) -> Column:
    return Column(name="a", number=1, type="integer", length=4, align="i", hidden=hidden)


def test_numbers() -> None:
    told = summary(known())
    assert (told.table_bytes, told.index_bytes, told.indexes) == (12 * BLOCK, 5 * BLOCK, 1)
    assert (told.columns, told.analysed, told.hidden) == (1, 1, 0)
    assert (told.extended_statistics, told.extended_with_data) == (1, 1)
    assert told.tables == {"r": 1}
    assert told.objects == {"type": 3, "view": 1}


def test_never_analysed_is_what_has_rows_and_could_have_been_seen() -> None:
    def table(name: str, *, pages: int = 1, hidden: bool = False) -> Table:
        return Table(schema="s", name=name, pages=pages, columns=(column(hidden=hidden),))

    tables = (table("fresh"), table("empty", pages=0), table("secret", hidden=True))
    assert summary(known(tables=tables)).never_analysed == ("s.fresh",)


def test_one_screen_whatever_there_is_to_tell() -> None:
    tables = tuple(Table(schema="s", name=f"t{at}", pages=1, columns=(column(),)) for at in range(500))
    unseen = tuple(Unseen(what=f"statistics of s.t{at}", why="nobody knows " * 8) for at in range(500))
    objects = tuple(
        SchemaObject(kind=kind, schema="s", name="x", definition="x")
        for kind in ("operator class", "operator family", "text search dictionary", "view", "function") * 2
    )
    told = summary(known(tables=tables, unseen=unseen, objects=objects))
    lines = rendered.summary(told, "a.json", 123_456, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 32
    text = " ".join(" ".join(lines).split())
    assert "Never analysed, run ANALYZE: s.t0, s.t1, s.t2, s.t3, s.t4, s.t5 and 494 more" in text
    assert "- and 494 more, in the file" in text
    assert "2 operator classes, 2 operator families, 2 text search dictionaries, 3 views" in text
    assert "a.json: 123 kB" in text


def test_an_empty_database() -> None:
    lines = rendered.summary(summary(known(tables=(), objects=(), late_objects=())), "a", 999, 80).splitlines()
    assert "tables      none" in lines
    assert "objects     none" in lines
    assert lines[-1].startswith("keep it private") or "999 bytes" in " ".join(lines)


def test_what_a_redacted_file_holds() -> None:
    for mode, words in (
        ("types", "holds no values from rows"),
        ("hash", "hashes of values"),
        ("keep", "keep it private"),
    ):
        assert words in rendered.summary(summary(known(redacted=mode)), "a", 1, 300)
