"""Which proposals are not worth a question to the planner, as names, types and statistics alone can tell."""

from __future__ import annotations

from dbtune.index.candidates import datatypes
from dbtune.index.candidates.frequency import longest
from dbtune.index.candidates.proposal import Proposal
from dbtune.index.candidates.schema import Schema
from dbtune.index.candidates.standing import Standing
from dbtune.index.candidates.value import Limits
from dbtune.snapshot.value import Table

LONGEST_ENTRY = 2700
"""Bytes of an entry that a btree takes, about a third of a page (``BTMaxItemSize``)."""

MOST_KEYS = 32
"""Columns that an index can have (``INDEX_MAX_KEYS``)."""

_CANNOT = {
    "f": "is a foreign table: its indexes are those of the server that holds it",
    "v": "is a view",
    "S": "is a sequence",
}


class Worth:
    """Judges tables and proposals."""

    def __init__(self, schema: Schema, standing: Standing, limits: Limits) -> None:
        self._schema = schema
        self._standing = standing
        self._limits = limits

    def obstacle(self, table: Table) -> str | None:
        """Return why no index on the table is looked for, None where one is."""
        if table.kind in _CANNOT:
            return _CANNOT[table.kind]
        if table.persistence == "t":
            return "is a temporary table"
        pages = self._schema.pages(table)
        if pages <= self._limits.small_table_pages:
            return f"has {pages} pages: it is read as fast without an index"
        return None

    def is_worth_asking(self, proposal: Proposal, table: Table) -> bool:
        """Return whether the index can be made and is not there already, nor in vain beside what is there."""
        index = proposal.index
        names = [*index.columns, *index.include]
        if len(names) != len(set(names)) and index.method == "btree":
            return False
        if len(index.keys) + len(index.include) > MOST_KEYS or self._standing.has(index):
            return False
        if index.method == "btree":
            return self._fits(proposal, table) and not self._is_in_vain(proposal, table)
        return index.method != "hash" or not self._standing.leads(index)

    def _fits(self, proposal: Proposal, table: Table) -> bool:
        index = proposal.index
        widths = 0
        for key in index.keys:
            if not key.is_column:
                continue
            column = self._schema.column(table, key.text)
            if column is None or not datatypes.can_be_key(self._schema.type_of(column)):
                return False
            widths += self._schema.width(table, key.text)
        carried = sum(self._schema.width(table, name) for name in index.include)
        if widths + carried > self._limits.key_bytes:
            return False
        held = [key.text for key in index.keys if key.is_column] + list(index.include)
        return all(longest(self._schema.statistics(table, name)) < LONGEST_ENTRY for name in held)

    def _is_in_vain(self, proposal: Proposal, table: Table) -> bool:
        """Return whether a constraint's index begins so, or the first keys are unique already: more find no less."""
        if self._standing.is_kept_prefix(proposal.index):
            return True
        if proposal.covers or any(not key.is_column for key in proposal.index.keys):
            return False
        columns = proposal.index.columns
        return any(
            len(columns) > len(unique) and set(columns[: len(unique)]) == unique
            for unique in self._standing.unique_columns(table)
        )
