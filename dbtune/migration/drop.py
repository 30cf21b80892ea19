"""An index to drop, and all that is needed to have it back."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.migration import block
from dbtune.migration.definition import Definition
from dbtune.migration.step import Change, Steps, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class DropIndex:
    """Drop an index CONCURRENTLY, if it is the very one that ``definition`` describes.

    ``only_marked`` drops what a revision made: it bears the comment of that, or none. ``comment`` is what the index
    has, for its return.
    """

    definition: Definition
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

    @property
    def again(self) -> str:
        """The Alembic command that it is part of."""
        return "downgrade" if self.only_marked else "upgrade"

    def remove(self, unless: str = "") -> tuple[str, ...]:
        """Return the statements that drop it, where they may be sent again and again."""
        return (
            block.ready_to_drop(self.definition, only_marked=self.only_marked, unless=unless, again=self.again),
            block.clear(self.definition),
        )

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        return Steps(
            prepare=block.prepare(),
            outside=self.remove(),
            restore=(block.restore(),),
            inside=(block.assert_gone(self.definition, self.again),),
            shared=block.shared(self.definition),
        )

    def reverse(self) -> Change:
        """Return the change that makes it again."""
        from dbtune.migration.create import CreateIndex

        return CreateIndex(definition=self.definition, comment=self.comment)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())
