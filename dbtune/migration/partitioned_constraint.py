"""Unique constraints of partitioned tables. USING INDEX is not for them: the constraint comes first, without indexes.

ALTER TABLE ONLY makes a constraint whose index is not valid yet. Each partition then gets a unique index, built
CONCURRENTLY, a constraint over it, and is attached (manual, 5.12.2.2); the last one makes the table's index valid.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.migration import block, constraint, partitioned
from dbtune.migration.catalog import Partition
from dbtune.migration.definition import Definition
from dbtune.migration.name import quoted
from dbtune.migration.step import Change, Members, Steps, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPartitionedConstraint:
    """Make a unique constraint with the index that ``definition`` describes, of the same name.

    ``partitions`` are those known now; others are found when it is run.

    :raises UsageError: no constraint can have such an index.
    """

    definition: Definition
    partitions: tuple[Partition, ...] = ()

    def __post_init__(self) -> None:
        constraint.check(self.definition)

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return constraint.titled(self.definition)

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        return Steps(
            prepare=block.prepare(),
            outside=(_only(self.definition, self.table, partitioned.none_is_foreign(self.table)),),
            members=self.members(),
            restore=(block.restore(),),
            inside=(
                constraint.assert_constraint(self.definition, there=True),
                block.assert_there(self.definition, block.mark(self.definition, revision)),
            ),
        )

    def members(self) -> Members:
        """Return what it sends for the partitions."""
        part = partitioned.one(self.definition)
        leaf = (
            *partitioned.build_one(self.definition, constraint.is_there(part)),
            block.do(constraint.over_index(part), block.FOUND),
        )
        return partitioned.members_of(self.definition, self.partitions, leaf, (_only(part, self.table),))

    def reverse(self) -> Change:
        """Return the drop of it, with those of all partitions."""
        return DropPartitionedConstraint(definition=self.definition, partitions=self.partitions)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements, for the partitions that are known."""
        return listed(self.steps())


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPartitionedConstraint:
    """Drop the constraint of a partitioned table with those of its partitions and their indexes, if we made it."""

    definition: Definition
    partitions: tuple[Partition, ...] = ()

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return f"no {constraint.titled(self.definition)}"

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        drop = f"ALTER TABLE {self.table} DROP CONSTRAINT {quoted(self.definition.name)};"
        ours = f"found.here AND {constraint.is_there(self.definition)} AND {block.is_ours(self.definition)}"
        return Steps(
            prepare=block.prepare(),
            outside=(partitioned.drop_all(self.definition, drop, ours, "downgrade"),),
            restore=(block.restore(),),
            inside=(block.assert_gone(self.definition),),
        )

    def reverse(self) -> Change:
        """Return the change that has the constraint again."""
        return AddPartitionedConstraint(definition=self.definition, partitions=self.partitions)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())


def _only(definition: Definition, lock: str, only_if: str = "") -> str:
    index = definition.index
    distinct = "" if definition.nulls_distinct else " NULLS NOT DISTINCT"
    keys = ", ".join(quoted(key.text) for key in index.keys)
    include = f" INCLUDE ({', '.join(map(quoted, index.include))})" if index.include else ""
    add = (
        f"ALTER TABLE ONLY {definition.table}\n"
        f"ADD CONSTRAINT {quoted(definition.name)} UNIQUE{distinct} ({keys}){include};"
    )
    return partitioned.make_only(definition, lock, add, constraint.is_there(definition), only_if)
