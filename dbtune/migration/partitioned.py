"""Indexes of partitioned tables, which cannot be built CONCURRENTLY in one go.

An index on the parent alone comes first: it is not valid yet, but new partitions get theirs from it. Then one after
the other each partition's index is built CONCURRENTLY and attached; the last one makes the parent's valid. Each step
is taken only where it is still missing.

The index of a partition that has partitions is attached when all of theirs are: one that becomes valid later locks out
everybody from the table above it (validatePartitionedIndex() in tablecmds.c), and deadlocks with who works there.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

from dbtune import sql
from dbtune.migration import block, members
from dbtune.migration.catalog import Partition
from dbtune.migration.create import CreateIndex
from dbtune.migration.definition import Definition
from dbtune.migration.step import Change, Members, Steps, listed
from dbtune.sql import quote_literal

_ENDING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartitioned:
    """Make an index on a partitioned table. ``partitions`` are those known now; others are found when it is run."""

    definition: Definition
    partitions: tuple[Partition, ...] = ()
    comment: str | None = None

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return CreateIndex(definition=self.definition).title

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        comment = self.comment if self.comment is not None else block.mark(self.definition, revision)
        return Steps(
            prepare=block.prepare(),
            outside=(_only(self.definition, self.table, only_if=none_is_foreign(self.table)),),
            members=self.members(),
            after=(f"ANALYZE {self.table}",) if self.definition.has_expression else (),
            restore=(block.restore(),),
            inside=(block.assert_there(self.definition, comment),),
        )

    def members(self) -> Members:
        """Return what it sends for the partitions."""
        branch = (_only(one(self.definition), self.table),)
        return members_of(self.definition, self.partitions, build_one(self.definition), branch)

    def reverse(self) -> Change:
        """Return the drop of it, with those of all partitions."""
        return DropPartitioned(definition=self.definition, partitions=self.partitions, only_marked=True)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements, for the partitions that are known."""
        return listed(self.steps())


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPartitioned:
    """Drop the index of a partitioned table with those of its partitions, under a lock that is had for a moment."""

    definition: Definition
    partitions: tuple[Partition, ...] = ()
    only_marked: bool = False
    comment: str | None = None

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return f"drop index {self.definition.name} on {self.definition.schema}.{self.definition.index.table}"

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        again = "downgrade" if self.only_marked else "upgrade"
        ours = block.may_go(self.definition, only_marked=self.only_marked)
        return Steps(
            prepare=block.prepare(),
            outside=(drop_all(self.definition, f"DROP INDEX {self.definition.full_name};", ours, again),),
            restore=(block.restore(),),
            inside=(block.assert_gone(self.definition, again),),
        )

    def reverse(self) -> Change:
        """Return the change that makes it again."""
        return CreatePartitioned(definition=self.definition, partitions=self.partitions, comment=self.comment)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())


def _only(definition: Definition, lock: str, only_if: str = "") -> str:
    create = "\n".join(map(block.kept, definition.clauses(only=True))) + ";"
    return make_only(definition, lock, create, "NOT found.needed", only_if)


def make_only(definition: Definition, lock: str, create: str, ours: str, only_if: str = "") -> str:
    """Return the block that makes the index of a table that has partitions, without theirs, by ``create``.

    ``ours`` is SQL for whether ``found``, of that definition, is what it makes. ``only_if`` is PL/pgSQL that fails
    where it must not be made.
    """
    return block.do(
        f"""
{block.turn(definition.table, lock)}
{only_if.strip() or block.NOTHING}
{block.look(definition)}
IF thing IS NULL THEN
{indent(block.patiently(create), "    ")}
ELSIF found.here AND found.definition = wanted AND {ours} THEN
    NULL;  -- there, whole or not yet
ELSE
{indent(block.foreign(definition.full_name, "upgrade"), "    ")}
END IF;
""",
        block.FOUND,
    )


def drop_all(definition: Definition, drop: str, ours: str, again: str) -> str:
    """Return the block that drops the index with those of all partitions by ``drop``, if SQL says that it is ours."""
    alone = "\n".join([block.lock_out(definition.table), drop])
    return block.do(
        f"""
{block.turn(definition.table)}
{block.look(definition)}
IF thing IS NULL THEN
    NULL;  -- gone
ELSIF {ours} THEN
{indent(block.patiently(alone), "    ")}
ELSE
{indent(block.foreign(definition.full_name, again), "    ")}
END IF;
""",
        f"{block.FOUND}\n{block.LOCKED_OUT}",
    )


def members_of(
    definition: Definition,
    partitions: tuple[Partition, ...],
    leaf: tuple[str, ...],
    branch: tuple[str, ...],
) -> Members:
    """Return what is sent for the partitions, given what makes the index of one without and one with partitions."""
    part = one(definition)
    attach = block.do(block.patiently(f"ALTER INDEX {members.ABOVE} ATTACH PARTITION {part.full_name};"))
    name = quote_literal(definition.full_name)
    return Members(
        root=definition.index.relation,
        index=definition.name,
        ending=definition.digest[:_ENDING],
        known=tuple((p.schema, p.name, p.parent_schema, p.parent_name, p.kind == "p") for p in partitions),
        tree=sql.load("migration_unindexed").replace(":table", quote_literal(definition.table)).replace(":index", name),
        leaf=(*leaf, attach),
        cleanup=2,
        branch=branch,
        attach=(attach,),
    )


def build_one(definition: Definition, needed: str = "") -> tuple[str, ...]:
    """Return what builds the index of any one partition; ``needed`` as for :func:`block.ready_to_build`."""
    part = one(definition)
    return (
        block.ready_to_build(part, definition.table, needed),
        block.clear(part),
        *((block.no_duplicates(part),) if part.index.unique else ()),
        part.ddl(concurrently=True, if_not_exists=True),
    )


def one(definition: Definition) -> Definition:
    """Return the index of any one partition."""
    return definition.on(members.SCHEMA, members.TABLE, members.INDEX)


def none_is_foreign(table: str) -> str:
    """Return PL/pgSQL that fails where a partition is a foreign table: there is no index of it to attach."""
    name = quote_literal(table)
    return f"""
IF EXISTS (SELECT FROM pg_partition_tree({name}) JOIN pg_class ON oid = relid WHERE relkind = 'f') THEN
    RAISE EXCEPTION '%', format(
        'the partition %s of %s is a foreign table: an index of all could never be valid; detach it first',
        (SELECT min(relid::text) FROM pg_partition_tree({name}) JOIN pg_class ON oid = relid WHERE relkind = 'f'),
        {name}
    );
END IF;
"""
