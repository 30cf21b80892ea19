"""The arguments of a command that starts processes, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact, Worker, WorkerKind
from dbtune.pool.sources.expression import number
from dbtune.pool.sources.found import Launch, Note
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.words import expand, options

Environment = Mapping[str, Fact[str]]

ONE_PROCESS = Fact(1, "one process")


def file_of(name: str, project: Project) -> str | None:
    """Return the file of the tree that a path inside a container may be: by its last part, the nearest to the root."""
    last = PurePosixPath(name).name
    return next((path for path in project.tree.files if PurePosixPath(path).name == last), None)


class Arguments:
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


def served(
    arguments: Arguments,
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


def once(arguments: Arguments, program: str, does: str) -> Launch:
    single: Fact[int | None] = Fact(1, "one thing after another")
    return served(arguments, program, WorkerKind.OTHER, ONE_PROCESS, single, does=does)


def development(arguments: Arguments, program: str, is_single: bool) -> Launch:
    threads: Fact[int | None] = Fact(None, f"{program}: a thread a request, without a bound")
    if is_single:
        threads = Fact(1, arguments.source)
    return served(arguments, program, WorkerKind.DEVELOPMENT, ONE_PROCESS, threads)
