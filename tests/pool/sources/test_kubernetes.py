"""Kubernetes manifests beside the usual: lists, templates, sidecars, jobs."""

from __future__ import annotations

import pytest

from dbtune.pool.sources import folder
from dbtune.pool.sources.found import Found
from tests.pool.sources.conftest import Write

ENGINE = "from sqlalchemy import create_engine\ne = create_engine('postgresql://h/d', pool_size=3, max_overflow=2)\n"


def deployment(spec: str = "", name: str = "web", container: str = 'command: ["gunicorn", "app:app"]') -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  {spec}
  template:
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: shop
        {container}
"""


def read(write: Write, text: str, **files: str) -> Found:
    others = {name.replace("__", "."): each for name, each in files.items()}
    root = write({"app.py": ENGINE, **others})
    (root / "k8s.yaml").write_text(text)
    return folder.read(root)


@pytest.mark.parametrize(
    ("spec", "at_rest", "in_deploy"),
    [
        ("replicas: 4", 20, 25),  # 25 % of 4
        ("replicas: 5", 25, 35),  # 25 % of 5, rounded up
        ("replicas: 0", 0, 0),
        ("", 5, 10),
        ("{replicas: 4, strategy: {rollingUpdate: {maxSurge: 3}}}", 20, 35),
        ('{replicas: 4, strategy: {rollingUpdate: {maxSurge: "50%", maxUnavailable: 1}}}', 20, 30),
        ("{replicas: 4, strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}}", 20, 20),
        ("{replicas: 4, strategy: {rollingUpdate: {maxSurge: 100%}}}", 20, 40),
        ("{replicas: 4, strategy: {type: Recreate}}", 20, 20),
    ],
)
def test_pods_and_their_surge(write: Write, spec: str, at_rest: int, in_deploy: int) -> None:
    lines = spec[1:-1].replace(", strategy:", "\n  strategy:", 1) if spec.startswith("{") else spec
    (web,) = read(write, deployment(lines)).fleet.services
    assert (web.at_rest, web.in_deploy) == (at_rest, in_deploy)


def test_a_list_as_kubectl_prints_it(write: Write) -> None:
    one, other = deployment("replicas: 2"), deployment("replicas: 3", name="other")
    items = "".join("- " + each.replace("\n", "\n  ").rstrip() + "\n" for each in (one, other))
    found = read(write, f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert {each.name: each.at_rest for each in found.fleet.services} == {"web": 10, "other": 15}


@pytest.mark.parametrize("braces", ["{{ .Values.replicas }}", "{{.Values.replicas}}", "{{- .Values.replicas -}}"])
def test_templates_are_told_and_not_guessed(write: Write, braces: str) -> None:
    found = read(write, deployment(f"replicas: {braces}"), Procfile="web: gunicorn -w 2 app:app\n")
    assert [each.at_rest for each in found.fleet.services] == [10]  # of the Procfile
    assert [(each.path, "is a template" in each.reason) for each in found.problems] == [("k8s.yaml", True)]


def test_braces_in_a_text_of_a_config_map_are_no_template(write: Write) -> None:
    text = deployment("replicas: 2") + (
        "---\nkind: ConfigMap\nmetadata: {name: alerts}\ndata:\n  a: |\n    {{ $value }}\n  b: '{{ x }}'\n"
    )
    found = read(write, text)
    assert [each.at_rest for each in found.fleet.services] == [10]
    assert found.problems == ()


def test_replicas_that_another_tool_fills_in(write: Write) -> None:
    (web,) = read(write, deployment('replicas: "{{ replicas }}"')).fleet.services
    assert (web.pods.value, web.pods.assumed) == (1, True)
    assert web.pods.source == "assumed: one, k8s.yaml:6 is not a number"


def test_args_after_an_image_s_entrypoint(write: Write) -> None:
    docker = 'FROM a\nENTRYPOINT ["gunicorn", "app:app"]\nCMD ["-w", "2"]\n'
    (web,) = read(write, deployment(container='args: ["-w", "6"]'), Dockerfile=docker).fleet.services
    assert web.processes.value == 6


def test_jobs(write: Write) -> None:
    job = """
kind: {kind}
metadata: {{name: {name}}}
spec: {spec}
---
"""
    pod = "template: {spec: {containers: [{name: a, image: shop, command: [python, report.py]}]}}"
    text = deployment() + "---\n"
    text += job.format(kind="Job", name="fill", spec=f"{{parallelism: 4, {pod}}}")
    text += job.format(kind="CronJob", name="nightly", spec=f"{{jobTemplate: {{spec: {{{pod}}}}}}}")
    text += job.format(kind="CronJob", name="off", spec=f"{{suspend: true, jobTemplate: {{spec: {{{pod}}}}}}}")
    found = read(write, text)
    assert [(each.name, each.connections.value, each.is_deploy_only) for each in found.fleet.extras] == [
        ("nightly", 1, False),
        ("fill", 4, True),
    ]
    assert any("CronJob nightly may overlap itself" in str(note) for note in found.notes)
    assert any("CronJob off is left out: it is suspended" in str(note) for note in found.notes)


def test_an_overlay_counts_once_with_the_most_pods(write: Write) -> None:
    root = write({"app.py": ENGINE})
    for place, number in (("base", 2), ("prod", 6)):
        (root / place).mkdir()
        (root / place / "web.yaml").write_text(deployment(f"replicas: {number}"))
    found = folder.read(root)
    assert [each.pods.value for each in found.fleet.services] == [6]
    assert any("web is described again in prod/web.yaml" in str(note) for note in found.notes)


def test_a_sidecar_and_a_container_without_a_database(write: Write) -> None:
    more = """command: ["gunicorn", "-w", "2", "app:app"]
      - {name: proxy, image: envoyproxy/envoy}
      - {name: agent, image: shop/agent}
      initContainers:
      - {name: m, image: shop, command: ["flask", "db", "upgrade"]}"""
    found = read(write, deployment(container=more))
    assert [each.at_rest for each in found.fleet.services] == [10]
    assert any("container agent is left out" in str(note) for note in found.notes)
    assert [each.name for each in found.fleet.extras] == ["migrations"]
