"""An index in place of another one: the new one is there before the old one goes."""

from __future__ import annotations

from dataclasses import dataclass

from dbtune.errors import UsageError
from dbtune.migration import block
from dbtune.migration.create import CreateIndex
from dbtune.migration.definition import Definition
from dbtune.migration.drop import DropIndex
from dbtune.migration.step import Change, Steps, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceIndex:
    """Make ``new``, then drop ``old``, both CONCURRENTLY. ``old_comment`` is what the old one has, for its return.

    :raises UsageError: both have one name.
    """

    old: Definition
    new: Definition
    old_comment: str | None = None
    new_comment: str | None = None
    only_marked: bool = False

    def __post_init__(self) -> None:
        if self.old.full_name == self.new.full_name:
            raise UsageError(f"{self.new.full_name} cannot replace itself: both are there for a while; name it anew")

    @property
    def title(self) -> str:
        """A line that says what it does."""
        return f"replace index {self.old.name} by {self.new.name} on {self.new.schema}.{self.new.index.table}"

    @property
    def table(self) -> str:
        """The table, as SQL with its schema."""
        return self.new.table

    def steps(self, revision: str = "") -> Steps:
        """Return what it sends."""
        create = CreateIndex(definition=self.new, comment=self.new_comment)
        drop = DropIndex(definition=self.old, only_marked=self.only_marked)
        made = create.steps(revision)
        return Steps(
            prepare=made.prepare,
            outside=(*made.outside, *drop.remove(unless=block.assert_sound(self.new))),
            cleanup=made.cleanup,
            restore=made.restore,
            inside=(*made.inside, block.assert_gone(self.old, drop.again)),
            shared=made.shared,
        )

    def reverse(self) -> Change:
        """Return the change that has the old one again."""
        return ReplaceIndex(
            old=self.new,
            new=self.old,
            old_comment=self.new_comment,
            new_comment=self.old_comment,
            only_marked=not self.only_marked,
        )

    def sql(self) -> tuple[str, ...]:
        """Return all its statements."""
        return listed(self.steps())
