"""How long dbtune takes to say something, against Alembic in the same environment.

    python benchmarks/startup.py [--rounds 15]

Runs are interleaved, and the median of each is compared: only the ratio means anything on another machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
COMMANDS: dict[str, list[str | Path]] = {
    "alembic --help": [BIN / "alembic", "--help"],
    "dbtune --help": [BIN / "dbtune", "--help"],
    "dbtune explain --help": [BIN / "dbtune", "explain", "--help"],
    "dbtune explain --nosuch": [BIN / "dbtune", "explain", "--nosuch"],
    "dbtune nosuch": [BIN / "dbtune", "nosuch"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            if number:  # the first round fills caches
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["alembic --help"])
    print(f"{'command':<26} {'median s':>9} {'ratio':>6}")
    for name, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{name:<26} {median:>9.3f} {median / base:>6.2f}")


if __name__ == "__main__":
    main()
