"""What people write as a budget."""

from __future__ import annotations

import pytest

from dbtune.errors import UsageError
from dbtune.index.advisor.wanted import budget


@pytest.mark.parametrize(
    ("text", "size"),
    [("25%", 250), ("0%", 0), ("150 %", 1500), ("12.5%", 125), ("0", 0), ("8192", 8192), ("1kB", 1024),
     ("1.5MB", 1572864), ("2GB", 2 << 30), ("500mb", 500 << 20)],
)  # fmt: skip
def test_a_part_or_a_size(text: str, size: int) -> None:
    assert budget(text).of(1000) == size


@pytest.mark.parametrize("text", ["", "-5%", "much", "5 apples", "%", "1e3"])
def test_anything_else_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        budget(text)
