"""Commands that start processes with connections: web servers, task workers, migrations, plain programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact, Worker, WorkerKind
from dbtune.pool.sources import gunicorn
from dbtune.pool.sources.expression import number
from dbtune.pool.sources.found import Launch, Note
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.words import commands, expand, options, split

Environment = Mapping[str, Fact[str]]

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
_ONE = Fact(1, "one process")


def launches(
    command: str | Sequence[str], source: str, environment: Environment, project: Project, depth: int = 0
) -> list[Launch]:
    """Return what a command line or script starts, in its order; what holds no connection is left out."""
    found: list[Launch] = []
    for words in commands(command) if isinstance(command, str) else split(list(command)):
        if words[0] in _NO_SERVERS:
            continue
        for number_, word in enumerate(words):
            program = PurePosixPath(word).name
            reader = _PROGRAMS.get(program)
            if reader is not None:
                found.append(reader(words[number_ + 1 :], source, environment, project))
                break
            if program.endswith(".sh") and depth < _DEEPEST and (path := _file(word, project)) is not None:
                inside = launches(project.tree.text(path) or "", path, environment, project, depth + 1)
                found += inside
                if inside and "$@" not in (project.tree.text(path) or ""):
                    break
            if re.fullmatch(r"python[\d.]*", program):
                found += _python(words[number_ + 1 :], source, environment, project)
                break
    return found


def _file(name: str, project: Project) -> str | None:
    """Return the file of the tree that a path inside a container may be: by its last part, the nearest to the root."""
    last = PurePosixPath(name).name
    return next((path for path in project.tree.files if PurePosixPath(path).name == last), None)


class _Arguments:
    """A program's options with variables put in, and what was not known of them."""

    def __init__(
        self, words: Sequence[str], valued: str, source: str, environment: Environment, project: Project
    ) -> None:
        self.options = options(words, set(valued.split()))
        self.source = source
        self.environment = environment
        self.cores = project.cores
        self.notes: list[Note] = []
        self.by_cores = False

    def number(self, *names: str, default: int, of: str, by_cores: bool = False) -> Fact[int]:
        """Return an option's number, else the default; ``by_cores``: the default is for each core."""
        text = self.options.get(*names)
        if text is not None:
            expanded = expand(text, self.environment, self.cores)
            value = number(expanded.text)
            if value is not None:
                self.by_cores |= expanded.by_cores
                told = "; ".join(expanded.sources)
                shown = f"{self.source}, {told}" if told else f"{self.source} {names[0]}"
                return Fact(int(value), shown, assumed=expanded.by_cores and self.cores is None)
            missing = ", ".join(expanded.missing) or "it is not a number"
            self.notes.append(Note(source=self.source, text=f"{names[0]} is not known: {missing}"))
        if by_cores:
            self.by_cores = True
            cores = self.cores if self.cores is not None else 1
            return Fact(default * cores, f"{of} default, one a core, with {cores}", assumed=self.cores is None)
        return Fact(default, f"{of} default")


def _served(
    arguments: _Arguments,
    program: str,
    kind: WorkerKind,
    processes: Fact[int],
    threads: Fact[int | None],
    *,
    does: str = "web",
    timeout: Fact[float] | None = None,
) -> Launch:
    others = arguments.options.others
    return Launch(
        program=program,
        does=does,
        processes=processes,
        threads=threads,
        worker=Worker(kind=kind, program=program, timeout=timeout, source=arguments.source),
        target=next((word for word in others if ":" in word), others[0] if others else None),
        by_cores=arguments.by_cores and arguments.cores is None,
        notes=tuple(arguments.notes),
    )


def _asgi(program: str, valued: str, *names: str) -> Callable[..., Launch]:
    def read(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
        arguments = _Arguments(words, valued, source, environment, project)
        processes = arguments.number(*names, default=1, of=f"{program}'s") if names else _ONE
        if program == "uvicorn" and arguments.options.get(*names) is None and "WEB_CONCURRENCY" in environment:
            said = environment["WEB_CONCURRENCY"]
            value = number(said.value)
            processes = Fact(int(value), f"WEB_CONCURRENCY, {said.source}") if value is not None else processes
        limit = arguments.options.get("--limit-concurrency")
        threads: Fact[int | None] = Fact(None, f"{program}: no bound")
        if limit is not None:
            threads = arguments.number("--limit-concurrency", default=1, of=f"{program}'s")
        return _served(arguments, program, WorkerKind.ASYNCIO, processes, threads)

    return read


def _fastapi(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    return _asgi("uvicorn", "--host --port --workers --app --root-path", "--workers")(
        words[1:], source, environment, project
    )


def _waitress(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = _Arguments(words, "--threads --listen --host --port --url-prefix", source, environment, project)
    threads = arguments.number("--threads", default=4, of="waitress'")
    return _served(arguments, "waitress", WorkerKind.GTHREAD, _ONE, threads)


def _uwsgi(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    words = list(words)
    ini = next((word for word in words if word.endswith(".ini")), None)
    if ini is not None and (path := _file(ini, project)) is not None:
        lines = (line.partition("=") for line in (project.tree.text(path) or "").splitlines())
        words += [f"--{name.strip()}={value.strip()}" for name, equals, value in lines if equals and "[" not in name]
        source = path
    valued = "-p --processes --workers --threads --gevent --harakiri --ini --http --socket --module -w --master"
    arguments = _Arguments(words, valued, source, environment, project)
    processes = arguments.number("--processes", "--workers", "-p", default=1, of="uWSGI's")
    seconds = arguments.number("--harakiri", default=0, of="uWSGI's")
    timeout = Fact(float(seconds.value), seconds.source)
    if arguments.options.get("--gevent") is not None:
        threads = arguments.number("--gevent", default=1, of="uWSGI's")
        return _served(arguments, "uwsgi", WorkerKind.GEVENT, processes, threads, timeout=timeout)
    threads = arguments.number("--threads", default=1, of="uWSGI's")
    kind = WorkerKind.GTHREAD if threads.value > 1 else WorkerKind.SYNC
    return _served(arguments, "uwsgi", kind, processes, threads, timeout=timeout)


def _flask(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = _Arguments(words, "--app -A --host -h --port -p --env-file -e", source, environment, project)
    if {"upgrade", "migrate"} & set(arguments.options.others):
        return _once(arguments, "flask", "migration")
    if "run" not in arguments.options.others:
        return _once(arguments, "flask", "once")
    return _development(arguments, "flask run", "--without-threads" in arguments.options.flags)


def _development(arguments: _Arguments, program: str, is_single: bool) -> Launch:
    threads: Fact[int | None] = Fact(None, f"{program}: a thread a request, without a bound")
    if is_single:
        threads = Fact(1, arguments.source)
    return _served(arguments, program, WorkerKind.DEVELOPMENT, _ONE, threads)


def _once(arguments: _Arguments, program: str, does: str) -> Launch:
    single: Fact[int | None] = Fact(1, "one thing after another")
    return _served(arguments, program, WorkerKind.OTHER, _ONE, single, does=does)


def _alembic(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = _Arguments(words, "-c --config -n --name -x", source, environment, project)
    return _once(arguments, "alembic", "migration")


def _celery(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    valued = (
        "-A --app -c --concurrency -P --pool --autoscale -Q --queues -l --loglevel -n --hostname -s -E --time-limit"
    )
    arguments = _Arguments(words, valued, source, environment, project)
    if "worker" not in arguments.options.others:
        return _once(arguments, "celery", "tasks" if "beat" in arguments.options.others else "once")
    pool = arguments.options.get("-P", "--pool") or "prefork"
    if (scale := arguments.options.get("--autoscale")) is not None:
        arguments.options.values["-c"] = scale.partition(",")[0]
    each = arguments.number("-c", "--concurrency", default=1, of="Celery's", by_cores=True)
    if pool in ("prefork", "processes"):
        one: Fact[int | None] = Fact(1, "a prefork worker does one task at a time")
        return _served(arguments, "celery", WorkerKind.TASKS, each, one, does="tasks")
    kinds = {"gevent": WorkerKind.GEVENT, "eventlet": WorkerKind.EVENTLET, "threads": WorkerKind.GTHREAD}
    if pool == "solo":
        each = Fact(1, f"{source} --pool solo")
    return _served(arguments, "celery", kinds.get(pool, WorkerKind.TASKS), _ONE, each, does="tasks")


def _rq(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = _Arguments(
        words, "-n --num-workers -u --url -w --worker-class -c --config", source, environment, project
    )
    is_pool = "worker-pool" in arguments.options.others
    processes = arguments.number("-n", "--num-workers", default=1, of="rq's") if is_pool else _ONE
    one: Fact[int | None] = Fact(1, "a job at a time")
    return _served(arguments, "rq", WorkerKind.TASKS, processes, one, does="tasks")


def _dramatiq(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = _Arguments(words, "-p --processes -t --threads -Q --queues", source, environment, project)
    processes = arguments.number("-p", "--processes", default=1, of="Dramatiq's", by_cores=True)
    threads = arguments.number("-t", "--threads", default=8, of="Dramatiq's")
    return _served(arguments, "dramatiq", WorkerKind.GTHREAD, processes, threads, does="tasks")


def _huey(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = _Arguments(words, "-w --workers -k --worker-type -l --logfile", source, environment, project)
    each = arguments.number("-w", "--workers", default=1, of="Huey's")
    if arguments.options.get("-k", "--worker-type") == "process":
        one: Fact[int | None] = Fact(1, "a task at a time")
        return _served(arguments, "huey", WorkerKind.TASKS, each, one, does="tasks")
    return _served(arguments, "huey", WorkerKind.GTHREAD, _ONE, each, does="tasks")


def _manage(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    """Read ``manage.py`` and ``django-admin``."""
    arguments = _Arguments(words[1:], "-w --workers --settings", source, environment, project)
    match words[0] if words else "":
        case "runserver" | "runserver_plus":
            return _development(arguments, "manage.py runserver", "--nothreading" in arguments.options.flags)
        case "run_huey" | "djangohuey":
            return _huey(words[1:], source, environment, project)
        case "rqworker":
            return _rq(words[1:], source, environment, project)
        case "migrate":
            return _once(arguments, "manage.py", "migration")
        case "qcluster" | "db_worker" | "procrastinate" | "process_tasks":
            return _once(arguments, f"manage.py {words[0]}", "tasks")
    return _once(arguments, "manage.py", "once")


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
    arguments = _Arguments(rest, "", source, environment, project)
    path = _file(rest[0], project)
    text = project.tree.text(path) if path is not None else None
    if text is not None and "uvicorn.run(" in text:
        found = re.search(r"uvicorn\.run\([^)]*\bworkers\s*=\s*(\d+)", text)
        processes = Fact(int(found.group(1)), f"{path} uvicorn.run(workers=)") if found else _ONE
        return [_served(arguments, "uvicorn", WorkerKind.ASYNCIO, processes, Fact(None, "uvicorn: no bound"))]
    if text is not None and re.search(r"\b(app|application)\.run\(", text):
        return [_development(arguments, "app.run()", "threaded=False" in text)]
    unknown: Fact[int | None] = Fact(None, "a program: nothing says how much it does at once")
    return [_served(arguments, rest[0], WorkerKind.OTHER, _ONE, unknown, does="program")]


_ASGI = (
    "--host --port --workers --limit-concurrency --log-level --app-dir --env-file --timeout-keep-alive --loop --http"
)
_PROGRAMS: Mapping[str, Callable[[Sequence[str], str, Environment, Project], Launch]] = {
    "gunicorn": gunicorn.launch,
    "uvicorn": _asgi("uvicorn", _ASGI, "--workers"),
    "hypercorn": _asgi("hypercorn", "-w --workers -b --bind -k --worker-class -c --config", "-w", "--workers"),
    "granian": _asgi("granian", "--workers --interface --host --port --blocking-threads", "--workers"),
    "daphne": _asgi("daphne", "-b -p -u"),
    "fastapi": _fastapi,
    "waitress-serve": _waitress,
    "waitress": _waitress,
    "uwsgi": _uwsgi,
    "flask": _flask,
    "manage.py": _manage,
    "django-admin": _manage,
    "alembic": _alembic,
    "celery": _celery,
    "rq": _rq,
    "dramatiq": _dramatiq,
    "huey_consumer": _huey,
    "huey_consumer.py": _huey,
}
