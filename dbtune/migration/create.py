"""An index to make, without a lock that writes wait for."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.migration import block
from dbtune.migration.definition import Definition
from dbtune.migration.step import Change, Steps, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex:
    """Make an index CONCURRENTLY. ``comment`` is put on it, if None one that says whose it is."""

    definition: Definition
    comment: str | None = None

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return f"create index {self.definition.name} on {self.definition.schema}.{self.definition.index.table}"

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.definition.table

    def build(self) -> tuple[str, ...]:
        """Return the statements that make it, where they may be sent again and again."""
        return (
            block.ready_to_build(self.definition),
            block.clear(self.definition),
            *((block.no_duplicates(self.definition),) if self.definition.index.unique else ()),
            self.definition.ddl(concurrently=True, if_not_exists=True),
            *((f"ANALYZE {self.table}",) if self.definition.has_expression else ()),
        )

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        comment = self.comment if self.comment is not None else block.mark(self.definition, revision)
        return Steps(
            prepare=block.prepare(),
            outside=self.build(),
            cleanup=2,
            restore=(block.restore(),),
            inside=(block.assert_there(self.definition, comment),),
            shared=block.shared(self.definition),
        )

    def reverse(self) -> Change:
        """Return the drop of it, which spares an index that somebody else has commented on."""
        from dbtune.migration.drop import DropIndex

        return DropIndex(definition=self.definition, only_marked=True)

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())
