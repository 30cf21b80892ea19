"""Processes and folders of a study that are still there."""

from __future__ import annotations

import tempfile
from pathlib import Path


def leftovers(study: int) -> list[str]:
    """Return the servers and services that a study with this process id started, by their folders and parents."""
    folders = Path(tempfile.gettempdir())
    # The service's folder has its starter's number too, and goes with its last process.
    found = [f"folder {path}" for kind in ("study", "party") for path in folders.glob(f"dbtune-{kind}-{study}-*")]
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] == "Z":
            continue
        is_server = f"dbtune-study-{study}-" in command
        is_service = "dbtune.party.web" in command and int(fields[1]) == study
        if is_server or is_service:
            found.append(f"{'party' if is_service else 'server'} {path.name}: {command}")
    return found
