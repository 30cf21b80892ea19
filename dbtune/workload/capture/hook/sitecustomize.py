"""Loaded by Python when it starts, because this folder leads PYTHONPATH: records every engine once SQLAlchemy is there.

Where SQLAlchemy is never imported it costs nothing. The ``sitecustomize`` that this one stands in front of is loaded
after it. An interpreter that has no dbtune installed gets it, and only it, from where the command came from.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # pathlib would cost every process 10 ms


class _Watch:
    """Finds SQLAlchemy as Python would, and begins the recording when it has been loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "sqlalchemy":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader = None if spec is None else spec.loader
        if loader is None:
            return spec
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _begin()

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _Only:
    """Finds the package dbtune in the folder of the one that started all this, and nothing else there."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.machinery.PathFinder.find_spec(name, [self._folder]) if name == "dbtune" else None


def _begin() -> None:
    path = os.environ.get("DBTUNE_RECORDING")
    if not path:
        return
    try:
        sys.meta_path.append(_Only(os.environ.get("DBTUNE_RECORDING_CODE", "")))
        from dbtune.capture.sqlalchemy import record
        from dbtune.workload.capture.recording import flush_at_exit

        flush_at_exit()
        record(
            None,
            path,
            sample=float(os.environ.get("DBTUNE_RECORDING_SAMPLE", "1")),
            max_bytes=int(os.environ.get("DBTUNE_RECORDING_BYTES", str(2**28))),
        )
    except Exception as error:  # the application goes on, whatever is wrong here
        sys.stderr.write(f"dbtune: {sys.executable} is not recorded: {type(error).__name__}: {error}\n")


def _load_the_other() -> None:
    """Load the sitecustomize that Python would have found without this folder."""
    elsewhere = [each for each in sys.path if os.path.abspath(each or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("DBTUNE_RECORDING") and __name__ == "sitecustomize":
    sys.path[:] = [each for each in sys.path if os.path.abspath(each or ".") != _HERE]  # noqa: PTH100
    sys.meta_path.insert(0, _Watch())
    _load_the_other()
