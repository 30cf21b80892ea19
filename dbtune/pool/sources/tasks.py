"""Programs that work off a queue: Celery, rq, Dramatiq, Huey."""

from __future__ import annotations

from collections.abc import Sequence

from dbtune.pool.fleet import Fact, WorkerKind
from dbtune.pool.sources.arguments import ONE_PROCESS, Arguments, Environment, once, served
from dbtune.pool.sources.found import Launch
from dbtune.pool.sources.project import Project


def celery(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    valued = (
        "-A --app -c --concurrency -P --pool --autoscale -Q --queues -l --loglevel -n --hostname -s -E --time-limit"
    )
    arguments = Arguments(words, valued, source, environment, project)
    if "worker" not in arguments.options.others:
        return once(arguments, "celery", "tasks" if "beat" in arguments.options.others else "once")
    pool = arguments.options.get("-P", "--pool") or "prefork"
    if (scale := arguments.options.get("--autoscale")) is not None:
        arguments.options.values["-c"] = scale.partition(",")[0]
    each = arguments.number("-c", "--concurrency", default=1, of="Celery's", by_cores=True)
    if pool in ("prefork", "processes"):
        one: Fact[int | None] = Fact(1, "a prefork worker does one task at a time")
        return served(arguments, "celery", WorkerKind.TASKS, each, one, does="tasks")
    kinds = {"gevent": WorkerKind.GEVENT, "eventlet": WorkerKind.EVENTLET, "threads": WorkerKind.GTHREAD}
    if pool == "solo":
        each = Fact(1, f"{source} --pool solo")
    return served(arguments, "celery", kinds.get(pool, WorkerKind.TASKS), ONE_PROCESS, each, does="tasks")


def rq(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = Arguments(
        words, "-n --num-workers -u --url -w --worker-class -c --config", source, environment, project
    )
    is_pool = "worker-pool" in arguments.options.others
    processes = arguments.number("-n", "--num-workers", default=1, of="rq's") if is_pool else ONE_PROCESS
    one: Fact[int | None] = Fact(1, "a job at a time")
    return served(arguments, "rq", WorkerKind.TASKS, processes, one, does="tasks")


def dramatiq(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = Arguments(words, "-p --processes -t --threads -Q --queues", source, environment, project)
    processes = arguments.number("-p", "--processes", default=1, of="Dramatiq's", by_cores=True)
    threads = arguments.number("-t", "--threads", default=8, of="Dramatiq's")
    return served(arguments, "dramatiq", WorkerKind.GTHREAD, processes, threads, does="tasks")


def huey(words: Sequence[str], source: str, environment: Environment, project: Project) -> Launch:
    arguments = Arguments(words, "-w --workers -k --worker-type -l --logfile", source, environment, project)
    each = arguments.number("-w", "--workers", default=1, of="Huey's")
    if arguments.options.get("-k", "--worker-type") == "process":
        one: Fact[int | None] = Fact(1, "a task at a time")
        return served(arguments, "huey", WorkerKind.TASKS, each, one, does="tasks")
    return served(arguments, "huey", WorkerKind.GTHREAD, ONE_PROCESS, each, does="tasks")
