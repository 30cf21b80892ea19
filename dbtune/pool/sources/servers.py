"""Programs that serve requests, other than gunicorn: uvicorn and its kin, waitress, uWSGI, Flask's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbtune.pool.fleet import Fact, WorkerKind
from dbtune.pool.sources.arguments import ONE_PROCESS, Arguments, Environment, development, file_of, once, served
from dbtune.pool.sources.expression import number
from dbtune.pool.sources.found import Launch
from dbtune.pool.sources.project import Project

UVICORN = (
    "--host --port --workers --limit-concurrency --log-level --app-dir --env-file --timeout-keep-alive --loop --http"
)


def asgi(program: str, valued: str, *names: str) -> Callable[..., Launch]:
    def read(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
        arguments = Arguments(words, valued, source, environment, project)
        processes = arguments.number(*names, default=1, of=f"{program}'s") if names else ONE_PROCESS
        if program == "uvicorn" and arguments.options.get(*names) is None and "WEB_CONCURRENCY" in environment:
            said = environment["WEB_CONCURRENCY"]
            value = number(said.value)
            processes = Fact(int(value), f"WEB_CONCURRENCY, {said.source}") if value is not None else processes
        limit = arguments.options.get("--limit-concurrency")
        threads: Fact[int | None] = Fact(None, f"{program}: no bound")
        if limit is not None:
            threads = arguments.number("--limit-concurrency", default=1, of=f"{program}'s")
        return served(arguments, program, WorkerKind.ASYNCIO, processes, threads)

    return read


def fastapi(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    return asgi("uvicorn", "--host --port --workers --app --root-path", "--workers")(
        words[1:], source, environment, project
    )


def waitress(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = Arguments(words, "--threads --listen --host --port --url-prefix", source, environment, project)
    threads = arguments.number("--threads", default=4, of="waitress'")
    return served(arguments, "waitress", WorkerKind.GTHREAD, ONE_PROCESS, threads)


def uwsgi(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    words = list(words)
    ini = next((word for word in words if word.endswith(".ini")), None)
    if ini is not None and (path := file_of(ini, project)) is not None:
        lines = (line.partition("=") for line in (project.tree.text(path) or "").splitlines())
        words += [f"--{name.strip()}={value.strip()}" for name, equals, value in lines if equals and "[" not in name]
        source = path
    valued = "-p --processes --workers --threads --gevent --harakiri --ini --http --socket --module -w --master"
    arguments = Arguments(words, valued, source, environment, project)
    processes = arguments.number("--processes", "--workers", "-p", default=1, of="uWSGI's")
    seconds = arguments.number("--harakiri", default=0, of="uWSGI's")
    timeout = Fact(float(seconds.value), seconds.source)
    if arguments.options.get("--gevent") is not None:
        threads = arguments.number("--gevent", default=1, of="uWSGI's")
        return served(arguments, "uwsgi", WorkerKind.GEVENT, processes, threads, timeout=timeout)
    threads = arguments.number("--threads", default=1, of="uWSGI's")
    kind = WorkerKind.GTHREAD if threads.value > 1 else WorkerKind.SYNC
    return served(arguments, "uwsgi", kind, processes, threads, timeout=timeout)


def flask(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = Arguments(words, "--app -A --host -h --port -p --env-file -e", source, environment, project)
    if {"upgrade", "migrate"} & set(arguments.options.others):
        return once(arguments, "flask", "migration")
    if "run" not in arguments.options.others:
        return once(arguments, "flask", "once")
    return development(arguments, "flask run", "--without-threads" in arguments.options.flags)
