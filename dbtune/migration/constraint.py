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
        index = self.definition.index
        plain = all(key.is_column and not key.descending and key.nulls_first is None for key in index.keys)
        if not (index.unique and index.method == "btree" and index.predicate is None and plain):
            raise UsageError(f"{self.definition.name}: a constraint needs a unique btree index on plain columns")

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return f"unique constraint {self.definition.name} on {self.definition.schema}.{self.definition.index.table}"

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        name = quoted(self.definition.name)
        add = f"ALTER TABLE {self.table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name};"
        body = f"""
{block.turn(self.table)}
{block.assert_sound(self.definition)}
IF NOT {_is_there(self.definition)} THEN
{indent(block.patiently(add), "    ")}
END IF;
"""
        return Steps(
            prepare=block.prepare(),
            outside=(block.do(body, block.FOUND),),
            restore=(block.restore(),),
            inside=(_assert(self.definition, there=True),),
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
        return f"no unique constraint {self.definition.name} on {self.definition.schema}.{self.definition.index.table}"

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
IF {_is_there(self.definition)} THEN
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
            inside=(_assert(self.definition, there=False), block.assert_there(self.definition)),
        )

    def reverse(self) -> Change:
        """Return the change that has the constraint again."""
        return AddConstraint(definition=self.definition)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())


def _is_there(definition: Definition) -> str:
    """Return SQL for whether the constraint is there, over the index of its name."""
    return f"""EXISTS (
    SELECT FROM pg_constraint
     WHERE conrelid = {quote_literal(definition.table)}::regclass AND contype = 'u'
       AND conindid = to_regclass({quote_literal(definition.full_name)})
)"""


def _assert(definition: Definition, *, there: bool) -> str:
    wrong, right = ("is missing", "NOT ") if there else ("is still there", "")
    return block.do(
        f"""
IF {right}{_is_there(definition)} THEN
    RAISE EXCEPTION '%', {quote_literal(f"the constraint {definition.name} on {definition.table} {wrong}: run again")};
END IF;
"""
    )
