"""Commands that start processes with connections: web servers, task workers, migrations, plain programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact, WorkerKind
from dbtune.pool.sources import gunicorn, servers, tasks
from dbtune.pool.sources.arguments import ONE_PROCESS, Arguments, Environment, development, file_of, once, served
from dbtune.pool.sources.expression import Unknown, number
from dbtune.pool.sources.found import Launch
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.words import assigned, commands, split

_DEEPEST = 3
_NO_SERVERS = {
    "pip",
    "pip3",
    "apt",
    "apt-get",
    "apk",
    "echo",
    "cp",
    "mv",
    "mkdir",
    "chmod",
    "chown",
    "rm",
    "cat",
    "export",
}


def launches(
    command: str | Sequence[str], source: str, environment: Environment, project: Project, depth: int = 0
) -> list[Launch]:
    """Return what a command line or script starts, in its order; what holds no connection is left out."""
    found: list[Launch] = []
    environment = dict(environment)
    for words in commands(command) if isinstance(command, str) else split(list(command)):
        outside = environment
        environment = {**outside, **(own := assigned(words, source, outside))}
        if words[0] == "export" or len(own) == len(words):
            continue  # these stay for the commands that follow
        found += _started(words, source, environment, project, depth)
        environment = outside
    return found


def _started(words: Sequence[str], source: str, environment: Environment, project: Project, depth: int) -> list[Launch]:
    """Return what one command starts."""
    found: list[Launch] = []
    if words[0] in _NO_SERVERS:
        return found
    for at, word in enumerate(words):
        program = PurePosixPath(word).name
        reader = _PROGRAMS.get(program)
        if reader is not None:
            return [*found, reader(words[at + 1 :], source, environment, project)]
        if program.endswith(".sh") and depth < _DEEPEST and (path := file_of(word, project)) is not None:
            text = project.tree.text(path) or ""
            inside = launches(text, path, environment, project, depth + 1)
            found += inside
            if inside and "$@" not in text:
                return found
        if re.fullmatch(r"python[\d.]*", program):
            return [*found, *_python(words[at + 1 :], source, environment, project)]
    return found


def _alembic(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = Arguments(words, "-c --config -n --name -x", source, environment, project)
    return once(arguments, "alembic", "migration")


def _manage(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    """Read ``manage.py`` and ``django-admin``."""
    arguments = Arguments(words[1:], "-w --workers --settings", source, environment, project)
    match words[0] if words else "":
        case "runserver" | "runserver_plus":
            return development(arguments, "manage.py runserver", "--nothreading" in arguments.options.flags)
        case "run_huey" | "djangohuey":
            return tasks.huey(words[1:], source, environment, project)
        case "rqworker":
            return tasks.rq(words[1:], source, environment, project)
        case "migrate":
            return once(arguments, "manage.py", "migration")
        case "qcluster" | "db_worker" | "procrastinate" | "process_tasks":
            return once(arguments, f"manage.py {words[0]}", "tasks")
    return once(arguments, "manage.py", "once")


def _python(words: Sequence[str], source: str, environment: Environment, project: Project) -> list[Launch]:
    """Read ``python -m module …`` and ``python file.py …``."""
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
        rest.pop(0)
    if len(rest) > 1 and rest[0] == "-m":
        module = rest[1].partition(".")[0]
        if (reader := _PROGRAMS.get(module)) is not None:
            return [reader(rest[2:], source, environment, project)]
        rest = [rest[1].replace(".", "/") + ".py"]
    if not rest or rest[0] == "-c":
        return []
    if PurePosixPath(rest[0]).name == "manage.py":
        return [_manage(rest[1:], source, environment, project)]
    arguments = Arguments(rest, "", source, environment, project)
    path = file_of(rest[0], project)
    text = project.tree.text(path) if path is not None else None
    if path is not None and text is not None and "uvicorn.run(" in text:
        processes = _uvicorn_run(path, environment, project) or ONE_PROCESS
        return [served(arguments, "uvicorn", WorkerKind.ASYNCIO, processes, Fact(None, "uvicorn: no bound"))]
    if text is not None and re.search(r"\b(app|application)\.run\(", text):
        return [development(arguments, "app.run()", "threaded=False" in text)]
    unknown: Fact[int | None] = Fact(None, "a program: nothing says how much it does at once")
    return [served(arguments, rest[0], WorkerKind.OTHER, ONE_PROCESS, unknown, does="program")]


def _uvicorn_run(path: str, environment: Environment, project: Project) -> Fact[int] | None:
    """Return the ``workers`` of uvicorn.run(…) in a file, None where it does not say."""
    module = project.module(path)
    for each in module.called if module is not None else ():
        if module is None or module.origin(each.node.func) != "uvicorn.run":
            continue
        for keyword in each.node.keywords:
            if keyword.arg == "workers":
                try:
                    known = project.value(keyword.value, module, each.place, environment)
                except Unknown:
                    return None
                value = number(known.value)
                at = f"{path}:{keyword.value.lineno}"
                return None if value is None else Fact(int(value), known.origin or at)
    return None


_PROGRAMS: Mapping[str, Callable[[Sequence[str], str, Environment, Project], Launch]] = {
    "gunicorn": gunicorn.launch,
    "uvicorn": servers.asgi("uvicorn", servers.UVICORN, "--workers"),
    "hypercorn": servers.asgi("hypercorn", "-w --workers -b --bind -k --worker-class -c --config", "-w", "--workers"),
    "granian": servers.asgi("granian", "--workers --interface --host --port --blocking-threads", "--workers"),
    "daphne": servers.asgi("daphne", "-b -p -u"),
    "fastapi": servers.fastapi,
    "waitress-serve": servers.waitress,
    "waitress": servers.waitress,
    "uwsgi": servers.uwsgi,
    "flask": servers.flask,
    "manage.py": _manage,
    "django-admin": _manage,
    "alembic": _alembic,
    "celery": tasks.celery,
    "rq": tasks.rq,
    "dramatiq": tasks.dramatiq,
    "huey_consumer": tasks.huey,
    "huey_consumer.py": tasks.huey,
}
