"""From nothing to a report on the embedded server: making it, loading the party data, explaining cold and warm.

    python benchmarks/first_light.py [--businesses 10000]

A server of its own is made in a temporary folder and removed at the end. Cold: the server was just started, nothing is
in its memory. Run it in the folder that holds queries/.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DBTUNE = str(Path(sys.executable).parent / "dbtune")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--businesses", type=int, default=10_000)
    businesses = parser.parse_args().businesses
    with tempfile.TemporaryDirectory(prefix="dbtune-bench-") as folder:
        Path(folder).chmod(0o755)
        run = Runner({**os.environ, "DBTUNE_DATA_DIR": folder, "DBTUNE_URL": "", "DATABASE_URL": ""})
        run("make and start the server", "server", "start")
        run(f"party load, {businesses} businesses", "party", "load", "--businesses", str(businesses))
        run("party load again", "party", "load", "--businesses", str(businesses))
        run("explain, warm", "explain")
        run("explain, warm, again", "explain")
        run("scans", "scans")
        run("stop", "server", "stop")
        run("explain, server stopped", "explain")
        run("reset", "server", "reset", "--yes")


class Runner:
    """Runs dbtune and prints how long it took."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, name: str, *arguments: str) -> None:
        started = time.perf_counter()
        done = subprocess.run([DBTUNE, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"dbtune {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        print(f"{name:<32} {seconds:>7.2f} s")


if __name__ == "__main__":
    main()
