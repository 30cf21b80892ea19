"""Run as a program: a process for each command that stdin tells of, forked from this one, which has dbtune loaded."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from dbtune.__main__ import main

PACKAGES = ("cli", "health", "index", "migration", "plan", "pool", "render", "server", "snapshot", "workload")


def load() -> None:
    """Import what commands import, so that no command has to."""
    for package in PACKAGES:
        name = f"dbtune.{package}"
        importlib.import_module(name)
        for found in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)


def become(told: dict[str, object]) -> None:
    """Take the folder, environment, files and arguments of a command."""
    os.chdir(str(told["cwd"]))
    os.environ.clear()
    os.environ.update(told["env"])  # type: ignore[call-overload]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = os.open(str(told[name]), os.O_RDONLY if number == 0 else os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = ["dbtune", *told["arguments"]]  # type: ignore[misc]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def code_of(program: Callable[[], NoReturn]) -> int:
    """Return what it exits with, having printed what Python prints at an end."""
    try:
        program()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        sys.stderr.write(f"{end.code}\n")
    except BaseException:
        sys.excepthook(*sys.exc_info())
    return 1


def leave(code: int) -> NoReturn:
    """End as Python does, but without taking everything apart that was loaded, which takes long."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def serve() -> None:
    """Fork for each line, and answer with the process's number, then with its exit code."""
    for line in iter(sys.stdin.readline, ""):
        if (child := os.fork()) == 0:
            become(json.loads(line))
            leave(code_of(main))
        answer(child)
        answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    load()
    gc.freeze()  # a collection would touch, and so copy, all that was loaded
    serve()
