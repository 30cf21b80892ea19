"""A local server that plans as production does: its schema, statistics, sizes and settings, and none of its rows."""

from dbtune.index.whatif.twin.twin import Twin, raise_twin

__all__ = ["Twin", "raise_twin"]
