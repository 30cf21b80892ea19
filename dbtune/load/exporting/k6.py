"""A plan as a k6 script: timers in one virtual user, or a few, that wait for no answer."""

from __future__ import annotations

import json
import math
from string import Template

from dbtune.load import PASSWORD_VARIABLE
from dbtune.load.exporting.plan import Exported, Plan, rows

_RATE_OF_A_USER = 1000
"""A virtual user is one thread of JavaScript."""

_FILE = Template("""\
// $words: $count requests to $host, as dbtune hammer sends them: each at its time, however slow the answers are.
//
//     k6 run THIS_FILE
//
// It needs k6 0.50 or newer. The metric from_due counts from when a request was due, http_req_duration from when it was
// sent.
import { check } from 'k6';
import encoding from 'k6/encoding';
import exec from 'k6/execution';
import http from 'k6/http';
import { Trend } from 'k6/metrics';

const TARGET = $target;
const USER = $user;
const TIMEOUT = $timeout;
const USERS = $users;
const REQUESTS = [
$requests
];
// Seconds from the start, and which of the requests.
const DUE = [
$due
];

export const options = {
  maxRedirects: 0,
  noConnectionReuse: $new_connections,
  scenarios: {
    plan: { executor: 'per-vu-iterations', vus: USERS, iterations: 1, maxDuration: '${longest}s' },
  },
};

const fromDue = new Trend('from_due', true);

function headersOf(request) {
  const headers = Object.assign({}, request.headers);
  if (request.body !== null && headers['Content-Type'] === undefined) {
    headers['Content-Type'] = 'application/json';
  }
  if (USER !== null) {
    headers['Authorization'] = 'Basic ' + encoding.b64encode(USER + ':' + __ENV.$variable);
  }
  return headers;
}

function isRight(request, answer) {
  const expected = request.statuses.length > 0 ? request.statuses.includes(answer.status) : answer.status < 400;
  if (answer.status === 0 || !expected) {
    return false;
  }
  if (Object.keys(request.json).length === 0) {
    return true;
  }
  try {
    const told = answer.json();
    return Object.entries(request.json).every(([key, value]) => JSON.stringify(told[key]) === JSON.stringify(value));
  } catch (error) {
    return false;
  }
}

async function ask(request, due) {
  const expected = request.statuses.length > 0 ? request.statuses : [{ min: 200, max: 399 }];
  const answer = await http.asyncRequest(request.method, TARGET + request.path, request.body, {
    headers: headersOf(request),
    responseCallback: http.expectedStatuses(...expected),
    tags: { name: request.name },
    timeout: TIMEOUT * 1000,
  });
  fromDue.add(Date.now() - due, { name: request.name });
  check(answer, { 'answered rightly': () => isRight(request, answer) }, { name: request.name });
}

export default function () {
  const began = exec.scenario.startTime;
  const first = exec.vu.idInTest - 1;
  const next = (number) => {
    if (number >= DUE.length) {
      return;
    }
    const due = began + DUE[number][0] * 1000;
    setTimeout(() => {
      next(number + USERS);
      ask(REQUESTS[DUE[number][1]], due);
    }, Math.max(0, due - Date.now()));
  };
  next(first);
}
""")


def export(plan: Plan) -> Exported:
    """Return the script."""
    options = plan.options
    seconds = plan.due[-1][0] if plan.due else 0.0
    text = _FILE.substitute(
        words=plan.words,
        count=f"{len(plan.due):,}",
        host=plan.target,
        target=json.dumps(plan.target),
        user=json.dumps(None if options.user is None else options.user[0]),
        variable=PASSWORD_VARIABLE,
        timeout=f"{options.timeout:g}",
        users=max(1, math.ceil(plan.peak / _RATE_OF_A_USER)),
        requests="\n".join(f"  {json.dumps(each.told())}," for each in plan.requests),
        due=rows(plan.due, "[", "]"),
        new_connections=json.dumps(not options.keep_alive),
        longest=math.ceil(seconds + options.timeout + 10),
    )
    return Exported(text=text)
