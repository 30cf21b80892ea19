"""What candidates take for granted of PostgreSQL, asked of the server itself."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.expression import IMMUTABLE
from dbtune.index.candidates.worth import LONGEST_ENTRY, MOST_KEYS


def test_functions_taken_for_immutable_are(db: Connection) -> None:
    db.execute(text("CREATE EXTENSION hstore"))
    others = db.execute(
        text("SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY (:names) AND provolatile <> 'i'"),
        {"names": sorted(IMMUTABLE)},
    )
    assert others.scalars().all() == []


def test_types_taken_for_unordered_have_no_btree_class(db: Connection) -> None:
    ordered = db.execute(
        text(
            "SELECT t.typname FROM pg_type AS t JOIN pg_opclass AS o ON o.opcintype = t.oid"
            " JOIN pg_am AS m ON m.oid = o.opcmethod"
            " WHERE m.amname = 'btree' AND o.opcdefault AND typname = ANY (:names)"
        ),
        {"names": sorted(datatypes.WITHOUT_ORDER)},
    )
    assert ordered.scalars().all() == []


def test_all_types_without_a_btree_class_are_known(db: Connection) -> None:
    found = db.execute(
        text(
            "SELECT format_type(t.oid, NULL) FROM pg_type AS t"
            " WHERE t.typtype = 'b' AND t.typcategory <> 'A' AND t.typisdefined AND t.typrelid = 0"
            " AND t.typname !~ '^(pg_|gtsvector|reg|xid8)' AND NOT EXISTS (SELECT FROM pg_opclass AS o"
            " JOIN pg_am AS m ON m.oid = o.opcmethod, pg_cast AS c WHERE m.amname = 'btree' AND o.opcdefault"
            " AND (o.opcintype = t.oid"
            " OR (c.castsource = t.oid AND c.casttarget = o.opcintype AND c.castmethod = 'b')))"
            " ORDER BY 1"
        )
    )
    unknown = [name for name in found.scalars() if datatypes.can_be_key(name)]
    assert unknown == []


def test_an_entry_of_the_longest_size_fits_and_one_more_key_does_not(db: Connection) -> None:
    db.execute(text("CREATE TABLE t (a text)"))
    db.execute(text("ALTER TABLE t ALTER a SET STORAGE EXTERNAL"))
    db.execute(text("CREATE INDEX ON t (a)"))
    db.execute(text("INSERT INTO t VALUES (repeat('x', :size))"), {"size": LONGEST_ENTRY - 60})
    with pytest.raises(DBAPIError, match="exceeds"):
        db.execute(text("INSERT INTO t VALUES (repeat('x', :size))"), {"size": LONGEST_ENTRY + 60})
    db.rollback()
    columns = ", ".join(f"c{n} integer" for n in range(MOST_KEYS + 1))
    keys = [f"c{n}" for n in range(MOST_KEYS + 1)]
    db.execute(text(f"CREATE TABLE w ({columns})"))
    db.execute(text(f"CREATE INDEX ON w ({', '.join(keys[:-1])})"))
    with pytest.raises(DBAPIError, match="cannot use more than"):
        db.execute(text(f"CREATE INDEX ON w ({', '.join(keys)})"))
