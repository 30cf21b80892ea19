"""squawk, an outside judge of migrations: what it finds in a script."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SQUAWK = shutil.which("squawk") or shutil.which("squawk", path=str(Path(sys.executable).parent))
needed = pytest.mark.skipif(SQUAWK is None, reason="squawk is not installed: pip install squawk-cli")


def findings(script: str) -> list[tuple[str, str]]:
    """Return what squawk's default rules find: the rule, and the line that it finds it in."""
    done = subprocess.run(
        [str(SQUAWK), "--reporter", "json"], input=script, capture_output=True, text=True, check=False
    )
    found = [(each["rule_name"], script.splitlines()[each["line"]]) for each in json.loads(done.stdout or "[]")]
    assert (done.returncode == 0) is (not found)
    return found
