"""pgbouncer.ini, and the variables by which its images are set: pools, limits, modes, time-outs."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact, Pool, Pooler
from dbtune.pool.sources.tree import Tree

_DEFAULT = "PgBouncer's default"
_NUMBERS = {
    "default_pool_size": 20,
    "reserve_pool_size": 0,
    "max_client_conn": 100,
    "max_db_connections": 0,
    "max_user_connections": 0,
}
_TIMES = {"server_idle_timeout": 600.0, "client_idle_timeout": 0.0}


def read(tree: Tree, path: str) -> Pooler | None:
    """Return the pooler of a pgbouncer.ini, None where it cannot be parsed, which is told."""
    text = tree.text(path)
    if text is None:
        return None
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=",), comment_prefixes=";#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # a database's name has its own case
    try:
        parser.read_string("\n".join("" if "%include" in line else line.strip() for line in text.splitlines()))
    except configparser.Error as error:
        tree.tell(path, "is not an ini file", getattr(error, "lineno", None))
        return None
    section = parser["pgbouncer"] if parser.has_section("pgbouncer") else {}
    settings = {name.lower(): value for name, value in section.items()}
    said = {name: Fact(value or "", f"{path}:{_line(text, name)}") for name, value in settings.items()}
    databases = dict(parser["databases"]) if parser.has_section("databases") else {}
    users = _users(tree, path, settings.get("auth_file"))
    pools = tuple(_pool(name, entry or "", said, users, path) for name, entry in databases.items())
    name = PurePosixPath(path).parent.name or "pgbouncer"
    return pooler("pgbouncer" if name in (".", "") else name, said, pools, path)


def pooler(name: str, said: Mapping[str, Fact[str]], pools: tuple[Pool, ...], source: str) -> Pooler:
    """Return a pooler with these settings, by PgBouncer's own names; what is not a number has its default."""
    prepared = said.get("max_prepared_statements")
    number = _number(prepared.value) if prepared is not None else None
    return Pooler(
        name=name,
        mode=said.get("pool_mode", Fact("session", _DEFAULT)),
        pools=pools or (_pool("*", "", said, None, source),),
        max_client_conn=_setting(said, "max_client_conn"),
        prepared=Fact(number, prepared.source) if prepared is not None and number is not None else None,
        idle_timeout=_time(said, "server_idle_timeout"),
        client_idle_timeout=_time(said, "client_idle_timeout"),
        source=source,
    )


def _pool(name: str, entry: str, said: Mapping[str, Fact[str]], users: Fact[int] | None, path: str) -> Pool:
    own = dict(re.findall(r"(\w+)\s*=\s*('[^']*'|\S+)", entry))

    def setting(key: str, of: str) -> Fact[int]:
        value = _number(own.get(key, ""))
        return Fact(value, f"{path} [databases] {name}") if value is not None else _setting(said, of)

    most = setting("max_db_connections", "max_db_connections")
    per_user = _setting(said, "max_user_connections")
    forced = Fact(1, f"{path} [databases] {name} user=") if "user" in own else users
    size = setting("pool_size", "default_pool_size")
    if 0 < per_user.value < size.value:
        size = per_user
    return Pool(
        database=name,
        pool_size=size,
        reserve=setting("reserve_pool" if "reserve_pool" in own else "reserve_pool_size", "reserve_pool_size"),
        users=forced or Fact(1, "assumed: one user a database", assumed=True),
        most=most if most.value > 0 else None,
    )


def _setting(said: Mapping[str, Fact[str]], name: str) -> Fact[int]:
    value = _number(said[name].value) if name in said else None
    return Fact(_NUMBERS[name], _DEFAULT) if value is None else Fact(value, said[name].source)


def _time(said: Mapping[str, Fact[str]], name: str) -> Fact[float]:
    value = _number(said[name].value) if name in said else None
    return Fact(_TIMES[name], _DEFAULT) if value is None else Fact(float(value), said[name].source)


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text.strip()) else None


def _line(text: str, name: str) -> int:
    found = re.search(rf"^\s*{re.escape(name)}\s*=", text, re.MULTILINE | re.IGNORECASE)
    return text[: found.start()].count("\n") + 1 if found else 1


def _users(tree: Tree, path: str, auth_file: str | None) -> Fact[int] | None:
    """Return how many users an auth_file in the tree names, None where it is not there."""
    if auth_file is None:
        return None
    name = PurePosixPath(auth_file).name
    found = next((each for each in tree.files if PurePosixPath(each).name == name), None)
    lines = (tree.text(found) or "").splitlines() if found is not None else []
    users = [line for line in lines if line.startswith('"')]
    return Fact(len(users), str(found)) if users else None
