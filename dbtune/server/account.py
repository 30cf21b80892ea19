"""The operating system's user that a PostgreSQL server runs as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from dbtune import config
from dbtune.errors import EmbeddedError

_CANDIDATES = ("dbtune", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    @property
    def is_ourselves(self) -> bool:
        """Whether this process already runs as this user."""
        return self.uid == os.geteuid()

    def can_enter(self, folder: Path) -> bool:
        """Return whether this user may pass through ``folder`` and all folders above it (mode bits only)."""
        return all(self._has(parent, stat.S_IXUSR) for parent in (folder, *folder.parents))

    def can_read(self, path: Path) -> bool:
        """Return whether this user may read the file ``path``, folders above it included."""
        return self._has(path, stat.S_IRUSR) and self.can_enter(path.parent)

    def _has(self, path: Path, owner_bit: int) -> bool:
        try:
            found = path.stat()
        except OSError:
            return False
        if found.st_uid == self.uid:
            return bool(found.st_mode & owner_bit)
        if found.st_gid == self.gid:
            return bool(found.st_mode & owner_bit >> 3)
        return bool(found.st_mode & owner_bit >> 6)


def owner(path: Path) -> Account:
    """Return the user to whom ``path`` belongs."""
    uid = path.stat().st_uid
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        raise EmbeddedError(f"{path} belongs to user id {uid}, which this machine does not know") from None


def server_account() -> Account:
    """Return who shall run a new server: ourselves, or for root ``$DBTUNE_SERVER_USER`` or a user without rights.

    :raises EmbeddedError: root, and no such user.
    """
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()))
    chosen = os.environ.get(config.SERVER_USER_VARIABLE)
    for name in (chosen,) if chosen else _CANDIDATES:
        try:
            found = _account(pwd.getpwnam(name))
        except KeyError:
            continue
        if found.uid != 0:
            return found
    wanted = chosen or ", ".join(_CANDIDATES)
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and there is no ordinary user {wanted}; "
        f"name one in {config.SERVER_USER_VARIABLE}"
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
