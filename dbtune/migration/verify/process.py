"""Clients as processes of their own, so that signals reach them as they would in a deploy."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dbtune.errors import Unsafe
from dbtune.migration.project import Project
from dbtune.migration.verify import client, guard
from dbtune.migration.verify.cluster import Cluster

LONGEST_S = 120.0
"""Seconds that a client may take; one that takes longer is killed, and said to hang."""

_SHOWN = 200
_TELLING = re.compile(r"^(dbtune: |FAILED: |psql:|alembic\.util\S*: |[\w.]+(Error|Exception|Interrupt)\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a client ended: its exit code as a shell has it, 128 and the number of a signal.

    ``printed`` is what it wrote to stdout, ``output`` that and what it wrote to stderr, ``said`` its telling line.
    """

    code: int
    said: str
    printed: str
    output: str
    hung: bool = False


class Client:
    """A command of the host's that runs."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def runs(self) -> bool:
        """Whether it still does."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long at most, and return whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.runs

    def end(self) -> Ended:
        """Wait for its end.

        :raises Unsafe: env.py, or a revision, wanted another database.
        """
        hung = not self.ends_within(LONGEST_S)
        if hung:
            self.kill()
        code = self._process.returncode
        printed = self._output.read_text(errors="replace")
        output = f"{printed}\n{self._output.with_suffix('.errors').read_text(errors='replace')}"
        if code == guard.REFUSED and guard.PREFIX in output:
            where = output.rpartition(guard.PREFIX)[2].splitlines()[0]
            raise Unsafe(f"env.py opens {where}, not the throw-away server: nothing was run; {client.HINT}")
        code = code if code >= 0 else 128 - code
        return Ended(code=code, said=telling(output), printed=printed, output=output, hung=hung)

    def kill(self) -> None:
        """Kill it, and whatever it has started, and wait for its end."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Launcher:
    """Starts commands on the project, under guard. ``environ`` says where the throw-away database is."""

    def __init__(self, cluster: Cluster, project: Project, environ: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._files = [name for name in (project.config.config_file_name, project.config.toml_file_name) if name]
        self._config = project.path
        said = json.dumps({"address": asdict(cluster.address), "word": cluster.word})
        self._environ = {**environ, client.VARIABLE: said, "PYTHONUNBUFFERED": "1"}
        self._started = 0

    def alembic(self, *arguments: str) -> Client:
        """Start one of Alembic's own commands."""
        config = [word for name in self._files for word in ("-c", str(name))]
        return self._python("alembic", *config, *arguments)

    def apply(self, revision: str, lock_budget: str, total_budget: str) -> Client:
        """Start ``dbtune migrate apply``, which is not to wait for others before the build: no fault would hit that."""
        budgets = ("--lock-budget", lock_budget, "--total-budget", total_budget)
        config = ("--config", str(self._config))
        return self._python("dbtune", "migrate", "apply", revision, "--at-once", *config, *budgets)

    def look(self, revision: str, output: Path) -> Client:
        """Start :func:`client.look`."""
        return self._python("look", str(self._config), revision, str(output))

    def psql(self, program: Path, script: Path, *, stop: bool) -> Client:
        """Start psql on a script; ``stop`` is ON_ERROR_STOP."""
        return self._start(str(program), "-X", "-q", "-v", f"ON_ERROR_STOP={int(stop)}", "-f", str(script))

    def _python(self, *arguments: str) -> Client:
        return self._start(sys.executable, "-m", client.__name__, *arguments)

    def _start(self, *command: str) -> Client:
        self._started += 1
        output = self._cluster.home / f"client-{self._started}.output"
        with output.open("wb") as file, output.with_suffix(".errors").open("wb") as errors:
            return Client(
                subprocess.Popen(
                    command,
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is for us
                ),
                output,
            )


def telling(output: str) -> str:
    """Return the line that says why a client ended as it did: the last that is an error's, else the last one."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = next((line for line in reversed(lines) if _TELLING.match(line)), lines[-1] if lines else "")
    return found if len(found) <= _SHOWN else f"{found[: _SHOWN - 1]}…"
