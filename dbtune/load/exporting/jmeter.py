"""A plan as JMeter's: an Open Model Thread Group of JMeter 5.5 or newer, whose threads take turns in a CSV file.

JMeter's schedules are rates, not times: of each second the number of requests is kept, and they are sent evenly.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from dbtune.load import PASSWORD_VARIABLE
from dbtune.load.exporting.plan import Exported, Plan

_COLUMNS = ("name", "method", "path", "body", "headers", "statuses", "json")

_HEADERS = """\
import groovy.json.JsonSlurper
import org.apache.jmeter.protocol.http.control.Header
def manager = sampler.headerManager
new JsonSlurper().parseText(vars.get('headers')).each { name, value -> manager.add(new Header(name, value)) }
"""

_USER = """\
def pair = (Parameters + ':' + System.getenv('%s')).bytes.encodeBase64().toString()
manager.add(new Header('Authorization', 'Basic ' + pair))
"""

_CHECK = """\
import groovy.json.JsonSlurper
def statuses = vars.get('statuses').tokenize()
def right = statuses ? prev.responseCode in statuses : prev.responseCode ==~ /[23][0-9][0-9]/
def expected = new JsonSlurper().parseText(vars.get('json'))
if (right && expected) {
    try {
        def told = new JsonSlurper().parseText(prev.responseDataAsString)
        right = expected.every { name, value -> told[name] == value }
    } catch (Exception error) {
        right = false
    }
}
prev.successful = right
AssertionResult.failure = !right
if (!right) {
    AssertionResult.failureMessage = 'not the answer that was expected'
}
"""


def export(plan: Plan, data_name: str) -> Exported:
    """Return the plan, and the CSV file that it reads, by the name that this one will have beside it."""
    root = Element("jmeterTestPlan", version="1.2", properties="5.0")
    test = _below(SubElement(root, "hashTree"), "TestPlan", "TestPlanGui", f"{plan.words}, as dbtune hammer sends them")
    group = _below(test, "OpenModelThreadGroup", "OpenModelThreadGroupGui", "Requests at their rate")
    properties = test.find("OpenModelThreadGroup")
    assert properties is not None
    SubElement(
        properties, "elementProp", name="ThreadGroup.main_controller", elementType="OpenModelThreadGroupController"
    )
    _set(properties, "ThreadGroup.on_sample_error", "continue")
    # JMeter stops requests that are under way when its schedule ends.
    _set(
        properties,
        "OpenModelThreadGroup.schedule",
        f"{schedule(plan.due)} pause({math.ceil(plan.options.timeout)} sec)",
    )
    _data(group, data_name)
    for condition, has_body in (("== ''", False), ("!= ''", True)):
        controller = _below(group, "IfController", "IfControllerPanel", "With a body" if has_body else "Without a body")
        element = group.findall("IfController")[-1]
        _set(element, "IfController.condition", f"${{__groovy(vars.get('body') {condition})}}")
        _set(element, "IfController.useExpression", "true", "boolProp")
        _sampler(controller, plan, has_body=has_body)
    indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return Exported(text=head + tostring(root, encoding="unicode") + "\n", data=_csv(plan))


def schedule(due: Sequence[tuple[float, int]]) -> str:
    """Return the times as a schedule of JMeter's: what is due in each second or so, equal ones joined."""
    times = [at for at, _ in due]
    total = times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1.0)
    slices = max(1, round(total))
    width = max(total, 1e-3) / slices
    counts = [0] * slices
    for at in times:
        counts[min(slices - 1, int(at / width + 1e-6))] += 1
    told = []
    first = 0
    for place in range(1, slices + 1):
        if place < slices and counts[place] == counts[first]:
            continue
        seconds = _number((place - first) * width)
        if counts[first]:
            rate = f"rate({_number(counts[first] / width)}/sec)"
            told.append(f"{rate} even_arrivals({seconds} sec) {rate}")
        else:
            told.append(f"pause({seconds} sec)")
        first = place
    return " ".join(told)


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _data(group: Element, name: str) -> None:
    _below(group, "CSVDataSet", "TestBeanGUI", "What each asks")
    element = group.findall("CSVDataSet")[-1]
    _set(element, "filename", name)
    _set(element, "fileEncoding", "UTF-8")
    _set(element, "variableNames", ",".join(_COLUMNS))
    _set(element, "delimiter", ",")
    _set(element, "shareMode", "shareMode.all")
    for key, value in (("ignoreFirstLine", True), ("quotedData", True), ("recycle", False), ("stopThread", True)):
        _set(element, key, json.dumps(value), "boolProp")


def _sampler(controller: Element, plan: Plan, *, has_body: bool) -> None:
    parts = urlsplit(plan.target)
    below = _below(controller, "HTTPSamplerProxy", "HttpTestSampleGui", "${name}")
    element = controller.findall("HTTPSamplerProxy")[-1]
    _set(element, "HTTPSampler.protocol", parts.scheme)
    _set(element, "HTTPSampler.domain", parts.hostname or "")
    _set(element, "HTTPSampler.port", str(parts.port or ""))
    _set(element, "HTTPSampler.path", f"{parts.path}${{path}}")
    _set(element, "HTTPSampler.method", "${method}")
    _set(element, "HTTPSampler.contentEncoding", "UTF-8")
    for name, value in (("follow_redirects", False), ("auto_redirects", False), ("postBodyRaw", has_body)):
        _set(element, f"HTTPSampler.{name}", json.dumps(value), "boolProp")
    _set(element, "HTTPSampler.use_keepalive", json.dumps(plan.options.keep_alive), "boolProp")
    for name in ("connect_timeout", "response_timeout"):
        _set(element, f"HTTPSampler.{name}", str(math.ceil(plan.options.timeout * 1000)))
    arguments = SubElement(element, "elementProp", name="HTTPsampler.Arguments", elementType="Arguments")
    listed = SubElement(arguments, "collectionProp", name="Arguments.arguments")
    if has_body:
        body = SubElement(listed, "elementProp", name="", elementType="HTTPArgument")
        _set(body, "HTTPArgument.always_encode", "false", "boolProp")
        _set(body, "Argument.value", "${body}")
        _set(body, "Argument.metadata", "=")
    _below(below, "HeaderManager", "HeaderPanel", "Headers")
    SubElement(below.findall("HeaderManager")[-1], "collectionProp", name="HeaderManager.headers")
    user = plan.options.user
    script = _HEADERS + (_USER % PASSWORD_VARIABLE if user is not None else "")
    _script(below, "JSR223PreProcessor", "Its headers", script, "" if user is None else user[0])
    _script(below, "JSR223Assertion", "Is it right?", _CHECK, "")


def _script(below: Element, kind: str, name: str, script: str, parameters: str) -> None:
    _below(below, kind, "TestBeanGUI", name)
    element = below.findall(kind)[-1]
    _set(element, "scriptLanguage", "groovy")
    _set(element, "parameters", parameters)
    _set(element, "cacheKey", "true")
    _set(element, "script", script)


def _below(parent: Element, kind: str, gui: str, name: str) -> Element:
    """Add an element to a tree of JMeter's; return the tree below it."""
    SubElement(parent, kind, guiclass=gui, testclass=kind, testname=name, enabled="true")
    return SubElement(parent, "hashTree")


def _set(element: Element, name: str, value: str, kind: str = "stringProp") -> None:
    SubElement(element, kind, name=name).text = value


def _csv(plan: Plan) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    rows = []
    for each in plan.requests:
        headers = dict(each.headers)
        if each.body is not None:
            headers.setdefault("Content-Type", "application/json")
        rows.append(
            (
                each.name,
                each.method,
                each.path,
                each.body or "",
                json.dumps(headers),
                " ".join(map(str, each.statuses)),
                json.dumps(dict(each.json)),
            )
        )
    writer.writerows(rows[which] for _, which in plan.due)
    return text.getvalue()
