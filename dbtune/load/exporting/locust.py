"""A plan as a locustfile: one user that waits for no answer, so that the load stays an open model."""

from __future__ import annotations

from string import Template

from dbtune.load import PASSWORD_VARIABLE
from dbtune.load.exporting.plan import Exported, Plan, rows

_FILE = Template("""\
# $words: $count requests to $host, as dbtune hammer sends them: each at its time, however slow the answers are.
#
#     locust -f THIS_FILE --headless
#
# One user sends everything and then ends the test; more users would send everything again.
import base64
import json
import os
import time

import gevent
from locust import FastHttpUser, task

USER = $user
TIMEOUT = $timeout
REQUESTS = [
$requests
]
# Seconds from the start, and which of the requests.
DUE = [
$due
]


def headers_of(request):
    headers = dict(request["headers"])
    if request["body"] is not None:
        headers.setdefault("Content-Type", "application/json")
    if USER is not None:
        pair = f"{USER}:{os.environ['$variable']}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
$connection    return headers


def wrong(request, answer):
    if request["statuses"] and answer.status_code not in request["statuses"]:
        return f"status {answer.status_code} was not expected"
    if not request["statuses"] and not 200 <= answer.status_code < 400:
        return f"status {answer.status_code}"
    if request["json"]:
        try:
            told = json.loads(answer.text)
        except ValueError:
            return "the body is no JSON"
        for key, value in request["json"].items():
            if not isinstance(told, dict) or told.get(key) != value:
                return f"{key} is not {value!r}"
    return None


class Plan(FastHttpUser):
    host = $host_literal
    fixed_count = 1
    concurrency = len(DUE)
    connection_timeout = network_timeout = TIMEOUT

    @task
    def send(self):
        began = time.monotonic()
        waiting = []
        for at, which in DUE:
            gevent.sleep(max(0.0, began + at - time.monotonic()))
            waiting.append(gevent.spawn(self.ask, REQUESTS[which]))
        gevent.joinall(waiting)
        self.environment.runner.quit()

    def ask(self, request):
        with self.client.request(
            request["method"],
            request["path"],
            name=request["name"],
            data=request["body"],
            headers=headers_of(request),
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            reason = wrong(request, answer)
            if reason is None:
                answer.success()
            elif answer.status_code:
                answer.failure(reason)
""")


def export(plan: Plan) -> Exported:
    """Return the locustfile."""
    options = plan.options
    text = _FILE.substitute(
        words=plan.words,
        count=f"{len(plan.due):,}",
        host=plan.target,
        host_literal=repr(plan.target),
        user=repr(None if options.user is None else options.user[0]),
        variable=PASSWORD_VARIABLE,
        timeout=f"{options.timeout:g}",
        requests="\n".join(f"    {each.told()!r}," for each in plan.requests),
        due=rows(plan.due, "(", ")"),
        connection="" if options.keep_alive else '    headers["Connection"] = "close"\n',
    )
    return Exported(text=text)
