"""Command lines as shells read them: words, variables, and the options of a program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbtune.pool.fleet import Fact

_LONGEST = 20_000
_BREAKS = {";", "&&", "||", "|", "&", "\n"}
_REFERENCE = re.compile(
    r"\$\((?P<command>[^()]*)\)|\$\{(?P<braced>\w+)(?::?[-=](?P<default>[^{}]*)|:?[?+][^{}]*)?\}|\$(?P<plain>\w+)"
)


@dataclass(slots=True)
class Expansion:
    """Text with its variables put in. ``missing`` are those that are not set in what was read."""

    text: str
    sources: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    by_cores: bool = False


def expand(text: str, environment: Mapping[str, Fact[str]], cores: int | None = None) -> Expansion:
    """Return text with ``$X``, ``${X}``, ``${X:-default}`` and ``$(nproc)`` put in; what is not known stays.

    Kubernetes' ``$(X)`` is a variable too.
    """
    found = Expansion(text)

    def put_in(match: re.Match[str]) -> str:
        command = match.group("command")
        if command is not None and command.strip().split()[:1] == ["nproc"]:
            found.by_cores = True
            return str(cores if cores is not None else 1)
        name = match.group("braced") or match.group("plain") or command.strip()
        if name in environment:
            found.sources.append(f"{name}, {environment[name].source}")
            return environment[name].value
        if match.group("default") is not None:
            found.sources.append(f"default of {name}")
            return match.group("default").strip("\"'")
        found.missing.append(name)
        return match.group(0)

    found.text = _REFERENCE.sub(put_in, text[:_LONGEST])
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line or script; a shell's ``-c`` text is looked into."""
    for line in re.sub(r"\\\n", " ", text[:_LONGEST]).splitlines():
        yield from _commands(line, 0)


def _commands(line: str, depth: int) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    try:
        for word in [*lexer, ";"]:
            if word in _BREAKS or (word and set(word) <= set(";&|")):
                yield from split(words, depth)
                words = []
            else:
                words.append(word)
    except ValueError:  # an open quote
        yield from split(line.split(), depth)


def split(words: Sequence[str], depth: int = 0) -> Iterator[list[str]]:
    """Yield a command given as words, or the commands in what it hands to a shell: ``sh -c "…"``."""
    if not words:
        return
    for number, word in enumerate(words):
        is_shell = word.rpartition("/")[2] in ("sh", "bash", "ash", "dash", "zsh")
        options = words[number + 1 : number + 3]
        if is_shell and options and re.fullmatch(r"-\w*c", options[0]) and len(options) > 1 and depth < 3:
            for line in re.sub(r"\\\n", " ", options[1]).splitlines():
                yield from _commands(line, depth + 1)
            return
    yield list(words)


@dataclass(slots=True)
class Options:
    """A program's options by name, and the words that are none."""

    values: dict[str, str]
    flags: set[str]
    others: list[str]

    def get(self, *names: str) -> str | None:
        """Return the value of the first of these options that is there."""
        return next((self.values[name] for name in names if name in self.values), None)


def options(words: Sequence[str], with_value: set[str]) -> Options:
    """Return the options among words: ``--workers 8``, ``--workers=8``, ``-w 8``, ``-w8``.

    ``with_value`` are the options that take one; the last of several counts.
    """
    found = Options({}, set(), [])
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.partition("=")
        short = word[:2]
        if not word.startswith("-") or word == "-":
            found.others.append(word)
        elif equals and name in with_value:
            found.values[name] = value
        elif word in with_value:
            if waiting:
                found.values[word] = waiting.pop(0)
        elif not word.startswith("--") and short in with_value and len(word) > 2:
            found.values[short] = word[2:].lstrip("=")
        else:
            found.flags.add(word)
    return found
