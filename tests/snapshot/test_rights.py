"""What a role cannot see is told, and what it can see is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection

from dbtune.server.connection import server_version_num
from dbtune.snapshot.read import read
from dbtune.snapshot.value import Snapshot
from tests.snapshot.rich import run, uncounted

As = Callable[[str], Snapshot]


@pytest.fixture
def shop(db: Connection) -> Iterator[Connection]:
    """Tables of one owner, and roles with different rights to them."""
    run(
        db,
        """
        CREATE ROLE shop_owner; CREATE ROLE shop_plain; CREATE ROLE shop_some; CREATE ROLE shop_monitor;
        CREATE ROLE shop_reader;
        GRANT CREATE, USAGE ON SCHEMA public TO shop_owner;
        GRANT pg_monitor TO shop_monitor;
        SET ROLE shop_owner;
        CREATE TABLE item (id int PRIMARY KEY, kind text, price numeric);
        CREATE INDEX item_kind ON item (lower(kind));
        CREATE STATISTICS item_kinds (ndistinct, dependencies, mcv) ON kind, price FROM item;
        CREATE TABLE guarded (id int, owner text);
        CREATE STATISTICS guarded_owners (ndistinct) ON id, owner FROM guarded;
        ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
        INSERT INTO item SELECT g, 'k' || g % 5, g % 5 FROM generate_series(1, 500) g;
        INSERT INTO guarded SELECT g, 'o' || g % 5 FROM generate_series(1, 500) g;
        ANALYZE item; ANALYZE guarded;
        GRANT SELECT (id, kind) ON item TO shop_some;
        RESET ROLE;
        """,
    )
    if server_version_num(db) >= 140_000:
        run(db, "GRANT pg_read_all_data TO shop_reader")
    db.commit()
    yield db
    db.rollback()
    run(db, "RESET ROLE; DROP OWNED BY shop_owner, shop_plain, shop_some, shop_monitor, shop_reader CASCADE")
    run(db, "DROP ROLE shop_owner, shop_plain, shop_some, shop_monitor, shop_reader")
    db.commit()


@pytest.fixture
def as_role(shop: Connection) -> As:
    def taken(role: str) -> Snapshot:
        run(shop, f"SET ROLE {role}")
        shop.commit()
        return read(shop)

    return taken


def told(snapshot: Snapshot) -> dict[str, str]:
    return {each.what: each.why for each in snapshot.unseen}


def analysed(snapshot: Snapshot, name: str) -> list[str]:
    table = snapshot.table("public", name)
    assert table is not None
    return [each.name for each in table.columns if each.statistics is not None]


def test_superuser_sees_all_but_policies(shop: Connection) -> None:
    found = read(shop)
    assert set(told(found)) == {"row security policies of public.guarded"}
    assert analysed(found, "item") == ["id", "kind", "price"]
    assert analysed(found, "guarded") == ["id", "owner"]


@pytest.mark.parametrize("role", ["shop_plain", "shop_monitor"])
def test_roles_that_may_not_select_see_schema_and_sizes_only(as_role: As, shop: Connection, role: str) -> None:
    everything = read(shop)
    found = as_role(role)
    assert told(found).keys() == {
        "statistics of public.item",
        "statistics of public.guarded",
        "statistics of the expressions of index public.item_kind",
        "data of the extended statistics public.item_kinds",
        "data of the extended statistics public.guarded_owners",
        "row security policies of public.guarded",
    }
    assert "pg_read_all_data" in told(found)["statistics of public.item"]
    assert analysed(found, "item") == []
    item, whole = found.table("public", "item"), everything.table("public", "item")
    assert item is not None
    assert whole is not None
    assert all(each.hidden for each in item.columns)
    assert (item.pages, item.reltuples) == (whole.pages, whole.reltuples)
    assert [(i.definition, i.pages) for i in item.indexes] == [(i.definition, i.pages) for i in whole.indexes]
    assert found.objects == everything.objects


def test_columns_that_a_role_may_not_select_are_named(as_role: As) -> None:
    found = as_role("shop_some")
    assert analysed(found, "item") == ["id", "kind"]
    assert told(found)["statistics of public.item: price"] == "the role may not SELECT these columns"
    assert "statistics of public.item" not in told(found)


def test_pg_read_all_data_sees_all_but_what_row_security_hides(as_role: As, shop: Connection) -> None:
    if server_version_num(shop) < 140_000:
        pytest.skip("the role came with 14")
    everything = read(shop)
    found = as_role("shop_reader")
    assert told(found).keys() == {
        "statistics of public.guarded",
        "data of the extended statistics public.guarded_owners",
        "row security policies of public.guarded",
    }
    assert "row security" in told(found)["statistics of public.guarded"]
    assert uncounted(found.table("public", "item")) == uncounted(everything.table("public", "item"))
    guarded = found.table("public", "guarded")
    assert guarded is not None
    assert all(each.hidden for each in guarded.columns)
    assert guarded.statistics[0].ndistinct is None


def test_owner_sees_all_but_the_bytes_of_common_combinations(as_role: As, shop: Connection) -> None:
    everything = read(shop).table("public", "item")
    assert everything is not None
    found = as_role("shop_owner")
    assert told(found).keys() == {
        "most common values of the extended statistics public.item_kinds",
        "row security policies of public.guarded",
    }
    item = found.table("public", "item")
    assert item is not None
    assert item.columns == everything.columns
    assert item.indexes == everything.indexes
    ours, theirs = item.statistics[0], everything.statistics[0]
    assert theirs.mcv is not None
    assert ours.mcv is None
    assert (ours.ndistinct, ours.dependencies) == (theirs.ndistinct, theirs.dependencies)
    assert ours.ndistinct is not None


def test_sizes_that_may_not_be_asked_for_are_those_of_the_last_analyze(as_role: As, shop: Connection) -> None:
    run(shop, "REVOKE EXECUTE ON FUNCTION pg_relation_size(regclass, text), pg_relation_size(regclass) FROM public")
    shop.commit()
    found = as_role("shop_plain")
    assert "sizes of files" in told(found)
    item = found.table("public", "item")
    assert item is not None
    assert item.pages == item.relpages > 0
