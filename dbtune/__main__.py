"""``dbtune`` and ``python -m dbtune``."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from dbtune.cli import app

        app(prog_name="dbtune")
    except KeyboardInterrupt:  # before or after a command proper
        sys.exit(130)
    sys.exit(0)


def _terminate(number: int, frame: object) -> NoReturn:
    """Unwind as for Ctrl-C: transactions roll back and what is done is kept."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
