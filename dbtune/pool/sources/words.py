"""Command lines as shells read them: words, variables, and the options of a program."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbtune.pool.fleet import Fact
from dbtune.pool.sources.expression import Known, Setting, Unknown, evaluate, number

_LONGEST = 20_000
_DEEPEST = 4
_BREAKS = {";", "&&", "||", "|", "&", "\n"}
_REFERENCE = re.compile(
    r"\$\((?P<command>[^()]*)\)|\$\{(?P<braced>\w+)(?::?[-=](?P<default>[^{}]*)|:?[?+][^{}]*)?\}|\$(?P<plain>\w+)"
)

_ARITHMETIC = re.compile(r"\$\(\(([\w\s+*/%$-]{1,100})\)\)")
_SUBSTITUTION = re.compile(r"\$\(\((?:[^()]|\$\([^()]*\))*\)\)|\$\([^()]*\)")
_NESTED = re.compile(r"\$\{\w+:?[-=][^{}]*\$\{")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)$", re.DOTALL)


@dataclass(slots=True)
class Expansion:
    """Text with its variables put in. ``missing`` are those that are not set in what was read."""

    text: str
    sources: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    by_cores: bool = False


def expand(text: str, environment: Mapping[str, Fact[str]], cores: int | None = None) -> Expansion:
    """Return text with ``$X``, ``${X}``, ``${X:-default}``, ``$(nproc)`` and ``$((2 * $X + 1))`` put in.

    What is not known stays. Kubernetes' ``$(X)`` is a variable too.
    """
    found = Expansion(text[:_LONGEST])
    _put_in(found, environment, cores, 0)
    found.text = _ARITHMETIC.sub(lambda match: _sum(match.group(1), environment, match.group(0)), found.text)
    return found


def _put_in(found: Expansion, environment: Mapping[str, Fact[str]], cores: int | None, depth: int) -> None:
    has_default = _NESTED.search(found.text) is not None

    def replaced(match: re.Match[str]) -> str:
        nonlocal has_default
        command = match.group("command")
        if command is not None and re.match(r"\s*nproc\b|\s*nproc-", command):
            found.by_cores = True
            return str(cores if cores is not None else 1)
        name = match.group("braced") or match.group("plain") or command.strip()
        if name in environment:
            found.sources.append(f"{name}, {environment[name].source}")
            return environment[name].value
        if match.group("default") is not None:
            has_default = True
            found.sources.append(f"default of {name}")
            return match.group("default").strip("\"'")
        found.missing.append(name)
        return match.group(0)

    found.text = _REFERENCE.sub(replaced, found.text)
    if has_default and "$" in found.text and depth < _DEEPEST:  # a default may be a variable, or within another's
        found.missing.clear()
        _put_in(found, environment, cores, depth + 1)


def _sum(text: str, environment: Mapping[str, Fact[str]], whole: str) -> str:
    """Return what a shell's arithmetic comes to, the whole as it is where that is not known."""

    def look(node: ast.expr, depth: int) -> Known:
        if isinstance(node, ast.Name) and node.id in environment:
            return Known(environment[node.id].value)
        raise Unknown("it is not set in what was read")

    try:
        # a shell's division has no fraction
        parsed = ast.parse(text.strip().replace("/", "//"), mode="eval")
        value = number(evaluate(parsed.body, Setting(look=look)).value)
    except (SyntaxError, ValueError, RecursionError, Unknown):
        return whole
    return whole if value is None else str(int(value))


def assigned(words: Sequence[str], source: str, environment: Mapping[str, Fact[str]]) -> dict[str, Fact[str]]:
    """Return the variables that are set before a command, as in ``WEB_CONCURRENCY=4 gunicorn``, or by ``export``."""
    found: dict[str, Fact[str]] = {}
    for number_, word in enumerate(words):
        match = _ASSIGNMENT.match(word)
        if match is not None:
            known = expand(match.group(2), {**environment, **found})
            if not known.missing:
                found[match.group(1)] = Fact(known.text, source)
        elif not (number_ == 0 and word in ("export", "env", "exec")):
            break
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line or script; a shell's ``-c`` text is looked into."""
    for line in re.sub(r"\\\r?\n", " ", text[:_LONGEST]).splitlines():
        yield from _commands(line, 0)


def _commands(line: str, depth: int) -> Iterator[list[str]]:
    line = _SUBSTITUTION.sub(lambda match: re.sub(r"\s+", "", match.group(0)), line)  # one word, as for a shell
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
    for at, word in enumerate(words):
        is_shell = word.rpartition("/")[2] in ("sh", "bash", "ash", "dash", "zsh")
        options = words[at + 1 : at + 3]
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
