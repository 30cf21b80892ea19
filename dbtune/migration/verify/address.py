"""Where the throw-away database is, in the words of the host's own URL, and the environment that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from dbtune import config
from dbtune.errors import UsageError

_SCHEMES = ("postgresql", "postgres")
_OURS = ("postgres", "template0", "template1", "dbtune_template")
_NAME = "verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database of the throw-away server: ``host`` is the folder of its socket."""

    host: str
    port: int
    user: str
    database: str

    def url(self, drivername: str = "postgresql", options: str | None = None) -> str:
        """Return it as a URL for that driver; ``options`` are libpq's."""
        query = {"host": self.host, "port": str(self.port)} | ({"options": options} if options else {})
        return URL.create(drivername, username=self.user, database=self.database, query=query).render_as_string()

    def like(self, text: str | None, fallback: str = "postgresql") -> str:
        """Return it as a URL with the driver and the options that ``text`` has, where that is one of PostgreSQL."""
        found = parsed(text)
        if found is None:
            return self.url(fallback)
        options = found.query.get("options")
        return self.url(found.drivername, options if isinstance(options, str) else None)


def parsed(text: str | None) -> URL | None:
    """Return ``text`` as a URL of PostgreSQL, None where it is none."""
    if not text or not text.startswith(_SCHEMES):
        return None
    with suppress(ArgumentError, ValueError):
        url = make_url(text)
        if url.drivername.partition("+")[0] in _SCHEMES:
            return url
    return None


def database_name(texts: Sequence[str | None]) -> str:
    """Return the name that the host's own database has, which revisions may say, as far as the URLs tell it."""
    for text in texts:
        url = parsed(text)
        if url is not None and url.database and url.database not in _OURS:
            return url.database
    return _NAME


def environment(
    address: Address, environ: Mapping[str, str], given: Sequence[str] = (), *, written: str | None = None
) -> dict[str, str]:
    """Return the environment in which whatever names a PostgreSQL names this one.

    That is every variable that holds a URL of PostgreSQL, libpq's own, and ``given``: NAME, or NAME=TEXT in which
    {url}, {host}, {port}, {user} and {database} stand for it. ``written`` is the URL in alembic.ini, for its driver.

    :raises UsageError: one of ``given`` cannot be read.
    """
    found = parsed(written)
    driver = found.drivername if found is not None else "postgresql"
    made = {name: value for name, value in environ.items() if not name.startswith("PG")}
    made |= {name: address.like(value) for name, value in made.items() if parsed(value) is not None}
    made |= {name: address.url(driver) for name in config.URL_VARIABLES if name not in made}
    made |= {
        "PGHOST": address.host,
        "PGPORT": str(address.port),
        "PGUSER": address.user,
        "PGDATABASE": address.database,
        "PGPASSFILE": f"{address.host}/no-passwords",
        "PGSERVICEFILE": f"{address.host}/no-services",
    }
    for each in given:
        name, is_text, text = each.partition("=")
        if not name.isidentifier():
            raise UsageError(f"--env {each}: write NAME, or NAME=TEXT with {{url}}, {{host}}, {{port}}, … in it")
        try:
            made[name] = (text if is_text else "{url}").format(
                url=address.url(driver),
                host=address.host,
                port=address.port,
                user=address.user,
                database=address.database,
            )
        except (KeyError, IndexError, ValueError):
            raise UsageError(f"--env {each}: only {{url}}, {{host}}, {{port}}, {{user}} and {{database}}") from None
    return made
