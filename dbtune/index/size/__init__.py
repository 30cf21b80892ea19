"""How large an index would be, from statistics alone, and how high a btree of a known size is."""

from dbtune.index.size.estimate import estimate, level_of
from dbtune.index.size.value import Size

__all__ = ["Size", "estimate", "level_of"]
