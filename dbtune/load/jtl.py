"""JMeter's results, a JTL file in CSV or XML, as rows; JMeter knows when a request was sent, not when it was due.

Files are read twice and never held: what they are of is known only at their end. The names of the columns and
attributes are in JMeter's manual, "Listeners". Transactions of several requests are left out, and so are the parts of a
request (redirects, embedded resources), which it counts itself.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

from dbtune.errors import BadFile
from dbtune.load.outcome import Outcome, of_status
from dbtune.load.record import Head, Row

_NEEDED = ("timeStamp", "elapsed", "label", "responseCode", "success")
_TRANSACTION = "Number of samples in transaction"
_THREAD = re.compile(r" \d+-\d+$")
_WORDS = 80

_ENDS = (
    ("ConnectTimeoutException", Outcome.TIMED_OUT),
    ("SocketTimeoutException", Outcome.TIMED_OUT),
    ("HttpHostConnectException", Outcome.REFUSED),
    ("ConnectException", Outcome.REFUSED),
    ("UnknownHostException", Outcome.REFUSED),
    ("NoRouteToHostException", Outcome.REFUSED),
    ("BindException", Outcome.UNSENT),
    ("SocketException", Outcome.RESET),
    ("SSLException", Outcome.RESET),
)
"""What an exception of Java's in place of a status means; any other one is an answer that was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """One line or element; times in milliseconds."""

    at: int
    elapsed: int
    label: str
    group: str
    code: str
    success: bool
    said: str
    url: str


def head(path: Path) -> Head:
    """Return what a file is of: how many requests of which names, from when on and for how long.

    :raises BadFile: it is not JMeter's, lacks a column, or has no HTTP request.
    """
    count = 0
    first = last = 0
    labels: dict[str, None] = {}
    groups: dict[str, None] = {}
    target = ""
    for sample in _samples(path):
        first = sample.at if not count else min(first, sample.at)
        last = max(last, sample.at)
        count += 1
        labels[sample.label] = groups[sample.group] = None
        target = target or _service(sample.url)
    if not count:
        raise BadFile(path, "has no HTTP request")
    return Head(
        target=target or "a service that the file does not name",
        schedule=f"JMeter, {path.name}",
        requests=count,
        began=first / 1000,
        seconds=(last - first) / 1000,
        knows_due=False,
        cells=tuple(groups),
        routes=tuple(labels),
    )


def rows(path: Path, began: float) -> Iterator[Row]:
    """Yield a file's requests, in its order; times are seconds from ``began``, the head's.

    :raises BadFile: see :func:`head`.
    """
    for number, sample in enumerate(_samples(path)):
        sent = sample.at / 1000 - began
        outcome, status = _end(sample)
        yield Row(
            number=number,
            cell=sample.group,
            route=sample.label,
            due=sent,
            sent=sent,
            done=sent + sample.elapsed / 1000,
            outcome=outcome,
            status=status,
            detail="" if outcome.is_success else " ".join(sample.said.split())[:_WORDS],
        )


def _end(sample: _Sample) -> tuple[Outcome, int | None]:
    if not sample.code.isdigit():
        return next((outcome for name, outcome in _ENDS if name in sample.code), Outcome.EMPTY), None
    status = int(sample.code)
    outcome = of_status(status)
    if outcome.is_success and not sample.success:
        return Outcome.WRONG, status  # an assertion of the plan's failed
    if sample.success and not outcome.is_success:
        return Outcome.SUCCESS, status  # the plan expects that status
    return outcome, status


def _service(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


def _samples(path: Path) -> Iterator[_Sample]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            start = file.readline().lstrip("\ufeff \t")
        yield from (_xml(path) if start.startswith("<") else _csv(path, start))
    except OSError as error:
        raise BadFile(path, f"cannot be read: {error.strerror}") from None


def _csv(path: Path, header: str) -> Iterator[_Sample]:
    delimiter = next((each for each in ",;\t|" if each in header), ",")
    if missing := set(_NEEDED) - set(header.strip().split(delimiter)):
        raise BadFile(
            path,
            f"is no result of JMeter's with a header: no column {min(missing)}; set"
            " jmeter.save.saveservice.print_field_names=true",
            line=1,
        )
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter)
        try:
            for told in reader:
                if not (told.get("responseMessage") or "").startswith(_TRANSACTION):
                    yield _sample(path, reader.line_num, told)
        except csv.Error as error:
            raise BadFile(path, f"is not CSV: {error}", line=reader.line_num) from None


def _sample(path: Path, line: int, told: Mapping[str, str | None]) -> _Sample:
    code = told["responseCode"] or ""
    try:
        at, elapsed = int(told["timeStamp"] or ""), int(told["elapsed"] or "")
    except ValueError:
        raise BadFile(
            path,
            "timeStamp and elapsed are not in ms; set jmeter.save.saveservice.timestamp_format=ms, or was the run"
            " stopped while it wrote?",
            line=line,
        ) from None
    return _Sample(
        at=at,
        elapsed=elapsed,
        label=told["label"] or "",
        group=_THREAD.sub("", told.get("threadName") or "JMeter"),
        code=code,
        success=told["success"] == "true",
        said=told.get("failureMessage") or told.get("responseMessage") or code,
        url=told.get("URL") or "",
    )


def _xml(path: Path) -> Iterator[_Sample]:
    root: ElementTree.Element | None = None
    inside = 0
    try:
        for event, element in ElementTree.iterparse(path, events=("start", "end")):
            if event == "start":
                root = element if root is None else root
                inside += element.tag == "httpSample"
                continue
            if element.tag == "httpSample":
                inside -= 1
                if not inside:
                    yield _element(path, element)
            if not inside and root is not None:
                root.clear()
    except ElementTree.ParseError as error:
        line, _ = error.position
        raise BadFile(
            path, "is not whole XML; was the run stopped while it wrote? Close it with </testResults>", line=line
        ) from None


def _element(path: Path, element: ElementTree.Element) -> _Sample:
    attributes = element.attrib
    try:
        at, elapsed = int(attributes["ts"]), int(attributes["t"])
    except (KeyError, ValueError):
        raise BadFile(path, f"a httpSample {attributes.get('lb', '')!r} has no times ts and t in ms") from None
    code = attributes.get("rc", "")
    return _Sample(
        at=at,
        elapsed=elapsed,
        label=attributes.get("lb", ""),
        group=_THREAD.sub("", attributes.get("tn", "JMeter")),
        code=code,
        success=attributes.get("s") == "true",
        said=element.findtext("assertionResult/failureMessage") or attributes.get("rm", "") or code,
        url=element.findtext("java.net.URL") or "",
    )
