"""The gate's verdict: text, Markdown and JSON for people and programs, JUnit, SARIF and annotations for pipelines."""

from __future__ import annotations

import json
import textwrap
from typing import Any
from xml.etree import ElementTree

from dbtune import __version__
from dbtune.plan.gate import TITLES, Check, Verdict, Violation
from dbtune.render.document import SCHEMA_VERSION


def table(verdict: Verdict, width: int) -> str:
    """Return a line for each violation, then what could not be compared, then the verdict."""
    lines = []
    for violation in verdict.violations:
        mark = "ignored" if violation.ignored else "FAIL"
        text = f"{mark} {violation.query}: {violation.message} [{violation.check}]"
        if violation.ignored:
            text += f"; {violation.ignored}"
        lines += textwrap.wrap(text, width, subsequent_indent="    ", break_on_hyphens=False)
    for note in verdict.notes:
        lines += textwrap.wrap(f"note {note}", width, subsequent_indent="    ", break_on_hyphens=False)
    lines.append(_sum(verdict))
    return "\n".join(lines) + "\n"


def _sum(verdict: Verdict) -> str:
    failures, ignored = len(verdict.failures), len(verdict.violations) - len(verdict.failures)
    told = f"{len(verdict.checked)} queries checked: "
    told += "no violation" if not failures else f"{failures} violation{'s' if failures != 1 else ''}"
    return told + (f", {ignored} ignored" if ignored else "")


def markdown(verdict: Verdict) -> str:
    """Return the verdict as a list for a pull request."""
    lines = [f"**{_sum(verdict)}**", ""]
    for violation in verdict.violations:
        ignored = f" (ignored: {violation.ignored})" if violation.ignored else ""
        lines.append(f"- `{violation.query}` {violation.check}: {violation.message}{ignored}")
    lines += [f"- note: {note}" for note in verdict.notes]
    return "\n".join(lines) + "\n"


def to_json(verdict: Verdict) -> str:
    """Return the verdict as a document for programs."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "command": "check",
        "passed": not verdict.failures,
        "checked": list(verdict.checked),
        "violations": [_document(v) for v in verdict.violations],
        "notes": list(verdict.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _document(violation: Violation) -> dict[str, Any]:
    return {
        "check": violation.check.value,
        "query": violation.query,
        "relation": violation.relation,
        "message": violation.message,
        "file": violation.path,
        "line": violation.line,
        "ignored": violation.ignored,
    }


def junit(verdict: Verdict) -> str:
    """Return one test case a query, as JUnit's XML is commonly read: a failure for what fails, skipped for ignored."""
    failed = {v.query for v in verdict.failures}
    ignored = {v.query for v in verdict.violations} - failed
    suite = ElementTree.Element(
        "testsuite",
        name="dbtune check",
        tests=str(len(verdict.checked)),
        failures=str(len(failed)),
        errors="0",
        skipped=str(len(ignored)),
    )
    for query in verdict.checked:
        case = ElementTree.SubElement(suite, "testcase", classname="dbtune.check", name=query)
        mine = [v for v in verdict.violations if v.query == query]
        open_ones = [v for v in mine if v.ignored is None]
        if open_ones:
            messages = [f"{v.check}: {v.message}" for v in open_ones]
            failure = ElementTree.SubElement(case, "failure", type=open_ones[0].check.value, message=messages[0])
            failure.text = "\n".join(messages)
        elif mine:
            ElementTree.SubElement(case, "skipped", message=f"{mine[0].check}: {mine[0].ignored}")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def sarif(verdict: Verdict) -> str:
    """Return the verdict as SARIF 2.1.0 (OASIS), which code scanners show beside the file."""
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "dbtune",
                        "version": __version__,
                        "rules": [{"id": check.value, "shortDescription": {"text": TITLES[check]}} for check in Check],
                    }
                },
                "results": [_result(v) for v in verdict.violations],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _result(violation: Violation) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": violation.check.value,
        "level": "error",
        "message": {"text": f"{violation.query}: {violation.message}"},
        "partialFingerprints": {"dbtune/v1": f"{violation.check}/{violation.query}/{violation.relation or ''}"},
    }
    if violation.path is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": violation.path.replace("\\", "/")}}
        place["region"] = {"startLine": violation.line or 1}
        result["locations"] = [{"physicalLocation": place}]
    if violation.ignored is not None:
        result["suppressions"] = [{"kind": "external", "justification": violation.ignored}]
    return result


def github(verdict: Verdict) -> str:
    """Return workflow commands that GitHub shows as annotations on the file's line."""
    lines = []
    for violation in verdict.violations:
        level = "notice" if violation.ignored else "error"
        place = f"file={_property(violation.path)},line={violation.line or 1}," if violation.path else ""
        title = _property(f"{violation.check}: {violation.query}")
        text = violation.message + (f" (ignored: {violation.ignored})" if violation.ignored else "")
        lines.append(f"::{level} {place}title={title}::{_data(text)}")
    lines += [f"::notice title=dbtune check::{_data(note)}" for note in verdict.notes]
    lines.append(_sum(verdict))
    return "\n".join(lines) + "\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
