"""``python -m dbtune.migration.verify.client alembic|dbtune|look ARGUMENT…``: a command of the host's, under guard.

$DBTUNE_VERIFY says where the throw-away server is: its socket's folder, its word, the database. The command is the
real one, by its own main function, and takes signals as it does anywhere.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from typing import Any

from dbtune.migration.verify import guard
from dbtune.migration.verify.address import Address

VARIABLE = "DBTUNE_VERIFY"
HINT = "give it a URL by sqlalchemy.url of alembic.ini, by an environment variable that holds one, or by --env"


def main() -> None:
    """Install the guard, point Alembic's Config at the throw-away database, and run the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    said = json.loads(os.environ[VARIABLE])
    address = Address(**said["address"])
    guard.install(address.host, said["word"])
    _point(address)
    _, command, *arguments = sys.argv
    if command == "look":
        look(*arguments)
        return
    sys.argv = [command, *arguments]
    runpy.run_module(command, run_name="__main__", alter_sys=True)


def _point(address: Address) -> None:
    """Let every Config say the throw-away database's URL, with the driver that was written there."""
    from alembic.config import Config

    own = Config.__init__

    def initialised(self: Config, *arguments: Any, **named: Any) -> None:
        own(self, *arguments, **named)
        url = address.like(written(self), os.environ.get("DATABASE_URL", "postgresql").partition(":")[0])
        self.set_main_option("sqlalchemy.url", url.replace("%", "%%"))

    Config.__init__ = initialised  # type: ignore[method-assign]


def written(config: Any) -> str | None:
    """Return the URL that an alembic.ini says, None where it says none or one that cannot be read."""
    with suppress(Exception):  # interpolation of anything that is not there
        url = config.get_main_option("sqlalchemy.url")
        return None if url is None else str(url)
    return None


def look(ini: str, revision: str, output: str) -> None:
    """Find a revision, and run env.py as ``alembic current`` does, which changes nothing; write what they say.

    The connection that env.py hands to Alembic is asked for the word as well.
    """
    from pathlib import Path

    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    from dbtune.errors import UsageError
    from dbtune.migration.project import Project, translated

    project = Project(Path(ini))
    found: dict[str, Any] = {"tables": [], "wrong": None}
    word = json.loads(os.environ[VARIABLE])["word"]

    def seen(heads: Any, context: Any) -> list[Any]:
        connection = context.connection
        said = connection and connection.exec_driver_sql(
            f"/* dbtune */ SELECT pg_catalog.current_setting('{guard.SETTING}', true)"
        )
        if not said or said.scalar() != word:
            guard.refuse("a database that does not know this run's word")
        found["tables"].append((context.version_table_schema, context.version_table))
        return []

    try:
        with translated(project.path):
            directory = ScriptDirectory.from_config(project.config)
            script = directory.get_revision(revision)
            if script is None:
                raise UsageError(f"{project.path}: there is no revision {revision}")
            title = (script.doc or "").partition("\n")[0]
            found |= {"revision": script.revision, "title": title, "downs": script._all_down_revisions}
            with EnvironmentContext(project.config, directory, fn=seen, dont_mutate=True):
                directory.run_env()
    except UsageError as error:
        found["wrong"] = str(error)
    Path(output).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
