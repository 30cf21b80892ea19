"""What env.py calls of Alembic's own: its configuration, configure(), begin_transaction(), run_migrations()."""

from __future__ import annotations

from dbtune.migration.doctor.arguments import Call, connection_of, send, sql_of
from dbtune.migration.doctor.expressions import CONFIG
from dbtune.migration.doctor.trace import Configured, Ran
from dbtune.migration.doctor.values import Const, How, Items, Logical, Ref, Value

_CONTEXT = "alembic.context"


def called(name: str, made: Call) -> Value | None:
    """Return what a function of Alembic's returns, by its full name; None if it is none of them."""
    if name.startswith(f"{CONFIG}."):
        return _config(name.removeprefix(f"{CONFIG}."), made)
    walk = made.walk
    match name.removeprefix(f"{_CONTEXT}.") if name.startswith(f"{_CONTEXT}.") else name:
        case "configure":
            return _configure(made)
        case "begin_transaction":
            return _begin(made)
        case "run_migrations":
            return _run(made)
        case "is_offline_mode":
            walk.way.asked_offline = True
            return Const(walk.way.offline)
        case "get_context":
            return Ref(_CONTEXT)
        case "get_bind":
            return (walk.configured.connection if walk.configured is not None else None) or Value()
        case "execute" | "alembic.op.execute":
            _execute(made)
            return Value()
        case "get_x_argument":
            return Value()
    return None


def _configure(made: Call) -> Value:
    given = made.arguments
    subject = given.get(0, "connection")
    if isinstance(subject, Const):
        subject = None
    connection = None if subject is None else connection_of(subject)
    configured = Configured(
        made.site,
        given.items(),
        subject,
        connection,
        connection.begun if connection is not None else None,
        tuple(connection.statements) if connection is not None else (),
        len(made.walk.way.statements),
    )
    made.walk.configured = configured
    made.walk.way.configured.append(configured)
    return Value()


def _begin(made: Call) -> Value:
    """Begin Alembic's transaction; a real one, unless each migration gets its own."""
    configured = made.walk.configured
    if configured is not None and configured.connection is not None:
        per_migration = configured.option("transaction_per_migration")
        if not (isinstance(per_migration, Const) and per_migration.value):
            configured.connection.begin(How.ALEMBIC, made.site)
    return Logical(made.site)


def _run(made: Call) -> Value:
    walk = made.walk
    configured = walk.configured
    connection = configured.connection if configured is not None else None
    walk.way.ran.append(
        Ran(
            made.site,
            configured,
            connection.begun if connection is not None else None,
            walk.inside > 0,
            tuple(walk.way.statements[configured.sent if configured is not None else 0 :]),
        )
    )
    return Value()


def _execute(made: Call) -> None:
    configured = made.walk.configured
    send(made, configured.connection if configured is not None else None, sql_of(made.arguments), made.receiver)


def _config(name: str, made: Call) -> Value | None:
    """Return what Config's methods return: what the ini file has, or what env.py set."""
    walk, given = made.walk, made.arguments
    first = given.positional[0].value if given.positional and isinstance(given.positional[0], Const) else None
    match name:
        case "get_main_option" if isinstance(first, str):
            if first == "databases":
                walk.way.databases = made.site
            return _option(made, walk.settings.main, first, given.get(1, "default"))
        case "set_main_option" if isinstance(first, str):
            walk.options[walk.settings.main, first] = given.get(1, "value") or Value()
            return Value()
        case "set_section_option" if isinstance(first, str) and len(given.positional) > 2:
            option = given.positional[1]
            if isinstance(option, Const) and isinstance(option.value, str):
                walk.options[first, option.value] = given.positional[2]
            return Value()
        case "get_section_option" if isinstance(first, str) and len(given.positional) > 1:
            option = given.positional[1]
            named = option.value if isinstance(option, Const) else None
            return _option(made, first, named, given.get(2, "default")) if isinstance(named, str) else Value()
        case "get_section":
            return _section(made, first) if isinstance(first, str) else Items({}, is_open=True)
        case "attributes.get" if isinstance(first, str):
            if walk.choices.pick() == 0:
                return given.get(1, "default") or Const(None)
            return walk.given.setdefault(first, Value(given=True))
    return None


def _option(made: Call, section: str, name: str, default: Value | None) -> Value:
    walk = made.walk
    if (section, name) in walk.options:
        return walk.options[section, name]
    found = walk.settings.section(section).get(name)
    if found is None:
        return default or Const(None)
    return Const(found, option=(section, name))


def _section(made: Call, name: str) -> Value:
    walk = made.walk
    found = walk.settings.section(name)
    if not found and (default := made.arguments.get(1, "default")) is not None:
        return default
    items: dict[str, Value] = {key: Const(text, option=(name, key)) for key, text in found.items()}
    items |= {option: value for (section, option), value in walk.options.items() if section == name}
    return Items(items)
