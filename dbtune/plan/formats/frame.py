"""What surrounds a plan where it was copied: psql's frame, quotes of a CSV file, a server log's prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SIDE = "[|│┃║]"
_RULE = "─═-+|│║┌┬┐├┼┤└┴┘╔╦╗╠╬╣╚╩╝╟╫╢╞╪╡ \t"
_RECORD = re.compile(r"\W?-\[ RECORD \d+ \]\W*|\W?[─═]\[ RECORD \d+ \]\W*")
_HEADING = re.compile(rf"(?:{_SIDE}\s*)?QUERY PLAN(?:\s*{_SIDE})?")
_FOOTER = re.compile(r"\(\d+ [^\s()]+\)")
_TIMING = re.compile(r"Time: [\d.]+ ms(?: \([\d:. d]+\))?")
_FENCE = re.compile(r"```\w*")
_EXPANDED = re.compile(rf" ?(?:QUERY PLAN| {{10}}) ?{_SIDE}(.*)", re.DOTALL)
_BORDERED = re.compile(rf"\s*{_SIDE}(.*){_SIDE}\s*", re.DOTALL)
_CELL = re.compile(r'^"([^"]*(?:""[^"]*)*)"$', re.MULTILINE)

_NEWLINE_MARKS = ("+", "↵")
_WRAP_MARKS = (".", "…")
_RANGE = re.compile(r"=\d+\.\d+\.\Z")  # "cost=0.00..1.01", cut by a terminal between its dots

_LOGGED = re.compile(r"duration: (\d+(?:\.\d+)?) ms +plan:([ \t]*)")
_CELL_REST = re.compile(r'[^"]*(?:""[^"]*)*')
_LOG_LINE = re.compile(
    r"\b(?:LOG|DEBUG\d?|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|STATEMENT|DETAIL|HINT|CONTEXT|QUERY):  "
    r"|duration: \d+(?:\.\d+)? ms "
)


@dataclass(frozen=True, slots=True)
class Message:
    """What auto_explain logged of one statement; ``duration`` is in milliseconds, ``number`` the first line's."""

    number: int
    duration: float
    lines: list[str]


def normalised(text: str) -> str:
    """Return ``text`` with plain line ends, without a byte order mark."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def unquoted(text: str) -> str:
    """Return ``text`` with the quotes around the cells of a CSV file taken off, line by line the same."""
    return _CELL.sub(lambda cell: cell[1].replace('""', '"'), text) if text.startswith('"') or '\n"' in text else text


def results(lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return each result in what psql printed, with the number of its first line, its lines without their frame.

    A line that was only frame is empty; without any headings all is one result.
    """
    headings = [at for at, line in enumerate(lines) if "QUERY PLAN" in line and _HEADING.fullmatch(line.strip())]
    if not headings:
        return [(1, _stripped(lines, headed=False))]
    return [
        (start + 2, _stripped(lines[start + 1 : end], headed=True)) for start, end in pairwise([*headings, len(lines)])
    ]


def _stripped(lines: Sequence[str], *, headed: bool) -> list[str]:
    kept = list(_within(lines, headed=headed))
    if sum(1 for line in kept if _BORDERED.fullmatch(line)) * 2 > sum(1 for line in kept if line.strip()):
        kept = [match[1].rstrip() if (match := _BORDERED.fullmatch(line)) else "" for line in kept]
    if any(_EXPANDED.fullmatch(line) and "QUERY PLAN" in line for line in kept):
        kept = [match[1] if (match := _EXPANDED.fullmatch(line)) else line for line in kept]
    return _unmarked(kept)


def _within(lines: Sequence[str], *, headed: bool) -> Iterator[str]:
    """Yield the lines, empty if they are a frame's or, in a result with a heading, after its count of rows."""
    inside = True
    for line in lines:
        text = line.strip()
        counted = _FOOTER.fullmatch(text) is not None
        inside = inside and not (counted and headed)
        indentation = line[: len(line) - len(line.lstrip())]
        plain = indentation.expandtabs().replace("\xa0", " ") + line[len(indentation) :]
        yield plain if inside and not counted and not _is_frame(text) else ""


def _is_frame(text: str) -> bool:
    rule = len(text) > 1 and not text.strip(_RULE) and text.strip(" ") != "->"
    return rule or any(pattern.fullmatch(text) for pattern in (_RECORD, _TIMING, _FENCE))


def _unmarked(lines: list[str]) -> list[str]:
    """Take off psql's marks at the ends of lines: a line break in a value, and a value wrapped to the screen."""
    marked = [line.endswith(_NEWLINE_MARKS) for line in lines]
    for at in range(len(lines)):
        # One line alone may end with a plus of its own.
        if marked[at] and (lines[at].endswith("↵") or any(marked[max(0, at - 1) : at] + marked[at + 1 : at + 2])):
            lines[at] = lines[at][:-1].rstrip()
    for at in range(len(lines) - 1, 0, -1):
        before, after = lines[at - 1], lines[at]
        if before.endswith(_WRAP_MARKS) and after.startswith(before[-1]) and not _RANGE.search(before):
            lines[at - 1], lines[at] = before[:-1] + after[1:], ""
    return lines


def messages(text: str) -> list[Message]:
    """Return the plans that auto_explain wrote to a log, in stderr's or csvlog's form; none if it is no log."""
    found: list[Message] = []
    number, counted = 1, 0
    at = 0
    while match := _LOGGED.search(text, at):
        number += text.count("\n", counted, match.start())
        counted = match.start()
        if text.endswith('"', 0, match.start()) and (cell := _CELL_REST.match(text, match.end(1))):
            at = cell.end()
            lines = cell[0].replace('""', '"').partition("plan:")[2].split("\n")
        else:
            at = _message_end(text, match.end())
            lines = text[match.end(2) : at].split("\n")
            if lines[1:] and lines[1].startswith("\t"):
                lines = [line.removeprefix("\t") for line in lines]
        found.append(Message(number, float(match[1]), lines))
    return found


def _message_end(text: str, at: int) -> int:
    """Return where a message ends: a log indents its further lines with a tab, which a copy may have lost."""
    tabbed = text.startswith("\n\t", at)
    while (start := text.find("\n", at)) >= 0:
        end = text.find("\n", start + 1)
        line = text[start + 1 : end if end >= 0 else len(text)]
        if line.strip() and (not line.startswith("\t") if tabbed else _LOG_LINE.search(line)):
            return start
        at = start + 1
    return len(text)
