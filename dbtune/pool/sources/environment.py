"""Variables as .env files write them."""

from __future__ import annotations

import re

from dbtune.pool.fleet import Fact
from dbtune.pool.sources.tree import Tree

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)$")


def read(tree: Tree, path: str) -> dict[str, Fact[str]]:
    """Return the variables of a file."""
    found = {}
    for number, line in enumerate((tree.text(path) or "").splitlines(), 1):
        if (match := _LINE.match(line)) is not None:
            found[match.group(1)] = Fact(_value(match.group(2).strip()), f"{path}:{number}")
    return found


def _value(text: str) -> str:
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return re.split(r"\s+#", text, maxsplit=1)[0]
