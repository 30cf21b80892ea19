"""gunicorn's settings: the command line, GUNICORN_CMD_ARGS, gunicorn.conf.py, WEB_CONCURRENCY, in that order."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact, Worker, WorkerKind
from dbtune.pool.sources import expression
from dbtune.pool.sources.expression import Unknown
from dbtune.pool.sources.found import Launch, Note
from dbtune.pool.sources.module import Place
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.words import expand, options

CONFIG = "gunicorn.conf.py"
_NAMES = {
    "-w": "workers",
    "--workers": "workers",
    "--threads": "threads",
    "-k": "worker_class",
    "--worker-class": "worker_class",
    "--worker-connections": "worker_connections",
    "-t": "timeout",
    "--timeout": "timeout",
    "-c": "config",
    "--config": "config",
}
_OTHERS = set(
    "-b --bind --backlog --max-requests --max-requests-jitter --graceful-timeout --keep-alive --limit-request-line"
    " --log-level --log-file --error-logfile --access-logfile --access-logformat --log-config -n --name -p --pid -u"
    " --user -g --group --chdir -e --env --worker-tmp-dir --certfile --keyfile --forwarded-allow-ips --statsd-host"
    " --pythonpath --logger-class --log-syslog-to --umask -m --paste --control-socket".split()
)
_DEFAULTS: Mapping[str, object] = {"workers": 1, "threads": 1, "worker_connections": 1000, "timeout": 30}
_DEFAULT = "gunicorn's default"


@dataclass(slots=True)
class _Given:
    """Settings by name, with who said them; ``by_cores`` are the settings that depend on the number of cores."""

    values: dict[str, Fact[object]] = field(default_factory=dict)
    by_cores: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)

    def set(self, name: str, value: Fact[object]) -> None:
        """Take a value, unless one with precedence is there."""
        self.values.setdefault(name, value)


def launch(words: Sequence[str], source: str, environment: Mapping[str, Fact[str]], project: Project) -> Launch:
    """Return what ``gunicorn`` with these words starts."""
    given = _Given()
    target = _command_line(words, source, environment, project, given)
    if (extra := environment.get("GUNICORN_CMD_ARGS")) is not None:
        try:
            more = shlex.split(extra.value)
        except ValueError:
            more = extra.value.split()
        _command_line(more, f"GUNICORN_CMD_ARGS, {extra.source}", environment, project, given)
    config = given.values.get("config")
    path = _find(str(config.value) if config is not None else CONFIG, project)
    if path is not None:
        _config_file(path, environment, project, given)
    elif config is not None:
        given.notes.append(Note(source=source, text=f"the configuration {config.value} is not among what was read"))
    if (concurrency := environment.get("WEB_CONCURRENCY")) is not None:
        given.set("workers", Fact(concurrency.value, f"WEB_CONCURRENCY, {concurrency.source}"))
    return _launch(given, source, target, project.cores)


def of_config(path: str, environment: Mapping[str, Fact[str]], project: Project) -> Launch:
    """Return what a configuration file alone would start."""
    given = _Given()
    _config_file(path, environment, project, given)
    return _launch(given, path, None, project.cores)


def _command_line(
    words: Sequence[str], source: str, environment: Mapping[str, Fact[str]], project: Project, given: _Given
) -> str | None:
    found = options(words, set(_NAMES) | _OTHERS)
    for option, text in found.values.items():
        if (name := _NAMES.get(option)) is None:
            continue
        expanded = expand(text, environment, project.cores)
        if expanded.missing:
            missing = ", ".join(expanded.missing)
            given.notes.append(
                Note(source=source, text=f"{option} is not known: {missing} is not set in what was read")
            )
            continue
        if expanded.by_cores:
            given.by_cores.add(name)
        told = f"{source}, {'; '.join(expanded.sources)}" if expanded.sources else f"{source} {option}"
        given.set(name, Fact(expanded.text, told))
    if "--preload" in found.flags:
        given.set("preload_app", Fact(True, f"{source} --preload"))
    return next((word for word in found.others if ":" in word or "." in word or word.isidentifier()), None)


def _find(name: str, project: Project) -> str | None:
    """Return the file of the tree that a configuration is, by its path, else by its name."""
    wanted = name.removeprefix("file:")
    if wanted.startswith("python:"):
        wanted = wanted.removeprefix("python:").replace(".", "/") + ".py"
    wanted = str(PurePosixPath(wanted.removeprefix("./")))
    files = project.tree.files
    if wanted in files:
        return wanted
    same = [path for path in files if PurePosixPath(path).name == PurePosixPath(wanted).name]
    return next((path for path in same if wanted.endswith(path)), same[0] if same else None)


def _config_file(path: str, environment: Mapping[str, Fact[str]], project: Project, given: _Given) -> None:
    """Read the assignments of a configuration file, of which the last counts as when it is run."""
    module = project.module(path)
    if module is None:
        return
    for each in reversed(module.assigned):
        if each.place.functions or each.place.klass or each.key or each.name in given.values:
            continue
        if each.name not in {*_NAMES.values(), "preload_app"}:
            continue
        try:
            known = project.value(each.value, module, Place(), environment)
        except Unknown as reason:
            at = f"{path}:{each.value.lineno}"
            given.notes.append(Note(source=at, text=f"{each.name} is not known, its default is counted: {reason}"))
            continue
        if known.by_cores:
            given.by_cores.add(each.name)
        formula = f" {expression.spelled(each.value)}" if known.by_cores else ""
        at = f"{path}:{each.value.lineno}{formula}"
        given.set(each.name, Fact(known.value, f"{at}, {known.origin}" if known.origin else at))


def _launch(given: _Given, source: str, target: str | None, cores: int | None) -> Launch:
    def number(name: str) -> Fact[int]:
        fact = given.values.get(name)
        value = expression.number(fact.value) if fact is not None else None
        if fact is not None and value is None:
            given.notes.append(Note(source=fact.source, text=f"{name} is not a number, its default is counted"))
        if fact is None or value is None:
            return Fact(int(str(_DEFAULTS[name])), _DEFAULT)
        return Fact(int(value), fact.source, assumed=name in given.by_cores and cores is None)

    workers, threads = number("workers"), number("threads")
    named = given.values.get("worker_class")
    kind = worker_kind(str(named.value)) if named is not None else WorkerKind.SYNC
    if kind is WorkerKind.SYNC and threads.value > 1:
        kind = WorkerKind.GTHREAD
    preload = given.values.get("preload_app")
    timeout = number("timeout")
    worker = Worker(
        kind=kind,
        program="gunicorn",
        timeout=Fact(float(timeout.value), timeout.source),
        preload=Fact(bool(preload.value), preload.source) if preload is not None else None,
        source=named.source if named is not None else source,
    )
    at_once: Fact[int | None] = Fact(None, "asyncio: no bound")
    match kind:
        case WorkerKind.SYNC:
            at_once = Fact(1, "a sync worker does one request at a time")
        case WorkerKind.GTHREAD:
            at_once = threads
        case WorkerKind.GEVENT | WorkerKind.EVENTLET:
            at_once = number("worker_connections")
    return Launch(
        program="gunicorn",
        does="web",
        processes=replace(workers, value=max(0, workers.value)),
        threads=at_once,
        worker=worker,
        target=target,
        by_cores="workers" in given.by_cores,
        notes=tuple(given.notes),
    )


def worker_kind(name: str) -> WorkerKind:
    """Return how a worker class serves, by its name or path."""
    lower = name.lower()
    for part, kind in (
        ("gthread", WorkerKind.GTHREAD),
        ("gevent", WorkerKind.GEVENT),
        ("eventlet", WorkerKind.EVENTLET),
        ("uvicorn", WorkerKind.ASYNCIO),
        ("hypercorn", WorkerKind.ASYNCIO),
        ("aiohttp", WorkerKind.ASYNCIO),
        ("asgi", WorkerKind.ASYNCIO),
        ("tornado", WorkerKind.ASYNCIO),
        ("sync", WorkerKind.SYNC),
    ):
        if part in lower:
            return kind
    return WorkerKind.OTHER
