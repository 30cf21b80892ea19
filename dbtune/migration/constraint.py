"""A unique constraint over a unique index that is there, and back: two revisions make a constraint without a long lock.

The first makes the index (:class:`dbtune.migration.create.CreateIndex`); the second makes it the constraint's, under a
lock that is held for a moment and waited for in short turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

from dbtune.errors import UsageError
from dbtune.migration import block
from dbtune.migration.create import CreateIndex
from dbtune.migration.definition import Definition
from dbtune.migration.name import fitted, quoted
from dbtune.migration.step import Change, Steps, listed
from dbtune.sql import quote_literal


@dataclass(frozen=True, slots=True, kw_only=True)
class AddConstraint:
    """Make the unique index that ``definition`` describes a unique constraint's, of the same name.

    :raises UsageError: no constraint can have such an index (manual, ALTER TABLE).
    """

    definition: Definition

    def __post_init__(self) -> None:
        check(self.definition)

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return titled(self.definition)

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        body = f"{block.turn(self.table)}\n{over_index(self.definition)}"
        return Steps(
            prepare=block.prepare(),
            outside=(block.do(body, block.FOUND),),
            restore=(block.restore(),),
            inside=(assert_constraint(self.definition, there=True),),
        )

    def reverse(self) -> Change:
        """Return the change that leaves the index without the constraint."""
        return DropConstraint(definition=self.definition)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())


@dataclass(frozen=True, slots=True, kw_only=True)
class DropConstraint:
    """Drop a unique constraint and keep its index: another one is made first, because the constraint takes its own."""

    definition: Definition

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return f"no {titled(self.definition)}"

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        spare = self.definition.named(fitted(self.definition.name, f"dbtune_{self.definition.digest}"))
        made = CreateIndex(definition=spare)
        name = quoted(self.definition.name)
        swap = f"""
ALTER TABLE {self.table} DROP CONSTRAINT {name};
ALTER INDEX {spare.full_name} RENAME TO {name};
COMMENT ON INDEX {self.definition.full_name} IS {quote_literal(block.mark(self.definition, revision))};
"""
        body = f"""
{block.assert_sound(spare)}
IF {is_there(self.definition)} THEN
{indent(block.patiently(swap), "    ")}
ELSE
    -- it was dropped before
{indent(block.set_aside(spare), "    ")}
END IF;
"""
        return Steps(
            prepare=block.prepare(),
            outside=(*made.build(), block.do(body, block.FOUND), block.clear(spare)),
            cleanup=2,
            restore=(block.restore(),),
            inside=(assert_constraint(self.definition, there=False), block.assert_there(self.definition)),
        )

    def reverse(self) -> Change:
        """Return the change that has the constraint again."""
        return AddConstraint(definition=self.definition)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())


def check(definition: Definition) -> None:
    """Fail where no constraint can have such an index.

    :raises UsageError: so it is.
    """
    index = definition.index
    plain = all(key.is_column and not key.descending and key.nulls_first is None for key in index.keys)
    if not (index.unique and index.method == "btree" and index.predicate is None and plain):
        raise UsageError(f"{definition.name}: a constraint needs a unique btree index on plain columns")


def titled(definition: Definition) -> str:
    """Return a line that says what the constraint is."""
    return f"unique constraint {definition.name} on {definition.schema}.{definition.index.table}"


def over_index(definition: Definition) -> str:
    """Return PL/pgSQL that makes the index, which must be sound, the constraint's, if it is not yet."""
    name = quoted(definition.name)
    add = f"ALTER TABLE {definition.table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};"
    return f"""
{block.assert_sound(definition)}
IF NOT {is_there(definition)} THEN
{indent(block.patiently(add), "    ")}
END IF;
""".strip()


def is_there(definition: Definition) -> str:
    """Return SQL for whether the constraint is there, over the index of its name."""
    return f"""EXISTS (
    SELECT FROM pg_constraint
     WHERE conrelid = {quote_literal(definition.table)}::regclass AND contype = 'u'
       AND conindid = to_regclass({quote_literal(definition.full_name)})
)"""


def assert_constraint(definition: Definition, *, there: bool) -> str:
    """Return the block that fails unless the constraint is there, or is not."""
    wrong, right = ("is missing", "NOT ") if there else ("is still there", "")
    return block.do(
        f"""
IF {right}{is_there(definition)} THEN
    RAISE EXCEPTION '%', {quote_literal(f"the constraint {definition.name} on {definition.table} {wrong}: run again")};
END IF;
"""
    )
