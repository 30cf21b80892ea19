"""Kubernetes manifests: workloads with replicas, autoscalers, surge, commands and variables; PostgreSQL's limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dbtune.pool.fleet import Amount, Extra, Fact, Rollout
from dbtune.pool.sources import command, images
from dbtune.pool.sources.compose import image_of
from dbtune.pool.sources.found import QUARTER, Deployment, Launch, Unit, migrations
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.words import expand
from dbtune.pool.sources.yaml_node import Node, documents

Environment = dict[str, Fact[str]]

_WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"}
_KINDS = (
    *_WORKLOADS,
    "HorizontalPodAutoscaler",
    "ScaledObject",
    "CronJob",
    "Job",
    "ConfigMap",
    "Ingress",
    "Cluster",
    "List",
)
_WANTED = re.compile(rf"^kind:\s*[\"']?({'|'.join(_KINDS)})\b", re.MULTILINE)
_PROXY = ("nginx.ingress.kubernetes.io/proxy-read-timeout", "haproxy.org/timeout-server")
_DATABASE = re.compile(r"DATABASE|POSTGRES|^PG|^DB_|SQLALCHEMY|_DSN$")


@dataclass(slots=True)
class _Manifests:
    """The documents of a tree by kind, and the autoscalers' maxima by what they scale."""

    by_kind: dict[str, list[Node]] = field(default_factory=dict)
    most: dict[str, Fact[int]] = field(default_factory=dict)
    maps: dict[str, Node] = field(default_factory=dict)


def read(project: Project, outside: Mapping[str, Fact[str]]) -> Deployment:
    """Return what a tree's manifests tell; a workload that several files describe counts with the most pods."""
    found = Deployment()
    manifests = _Manifests()
    for path in project.tree.ending(".yaml", ".yml"):
        text = project.tree.text(path)
        if "/templates/" in f"/{path}" or text is None or not _WANTED.search(text):
            continue
        for document in documents(project.tree, path, _WANTED):
            is_list = document.get("kind").text == "List"
            for each in document.get("items").elements() if is_list else [document]:
                manifests.by_kind.setdefault(each.get("kind").text or "", []).append(each)
            if path not in found.read:
                found.read.append(path)
    _autoscalers(manifests, found)
    for document in manifests.by_kind.get("ConfigMap", ()):
        manifests.maps[document.get("metadata", "name").text or ""] = document.get("data")
    for kind in sorted(_WORKLOADS):
        for document in manifests.by_kind.get(kind, ()):
            _workload(project, found, manifests, document, kind, outside)
    for kind in ("CronJob", "Job"):
        for document in manifests.by_kind.get(kind, ()):
            _job(project, found, manifests, document, kind, outside)
    for document in manifests.by_kind.get("Cluster", ()):  # CloudNativePG
        limit = document.get("spec", "postgresql", "parameters", "max_connections")
        if limit.text is not None and limit.text.isdigit():
            found.limit(Fact(int(limit.text), limit.at))
    for document in manifests.by_kind.get("Ingress", ()):
        for name in _PROXY:
            timeout = document.get("metadata", "annotations", name)
            if timeout.text is not None and re.fullmatch(r"\d{1,6}s?", timeout.text):
                found.proxy_timeout = Fact(float(timeout.text.rstrip("s")), timeout.at)
    found.units = _largest(found)
    return found


def _autoscalers(manifests: _Manifests, found: Deployment) -> None:
    for kind, target, most in (
        ("HorizontalPodAutoscaler", "scaleTargetRef", "maxReplicas"),
        ("ScaledObject", "scaleTargetRef", "maxReplicaCount"),
    ):
        for document in manifests.by_kind.get(kind, ()):
            name = document.get("spec", target, "name").text
            limit = document.get("spec", most)
            if name is None or limit.text is None or not limit.text.isdigit():
                found.note(document.at, f"{kind} without a number as {most}")
                continue
            value = Fact(int(limit.text), f"{limit.at} {most}")
            if name not in manifests.most or manifests.most[name].value < value.value:
                manifests.most[name] = value


def _workload(
    project: Project,
    found: Deployment,
    manifests: _Manifests,
    document: Node,
    kind: str,
    outside: Mapping[str, Fact[str]],
) -> None:
    name = document.get("metadata", "name").text or kind.lower()
    spec = document.get("spec")
    pods = _pods(spec, kind, document)
    if name in manifests.most and manifests.most[name].value >= pods.value:
        pods = manifests.most[name]
    rollout = _rollout(spec, kind, document)
    template = spec.get("template", "spec")
    for container in template.get("initContainers").elements():
        own = _environment(container, manifests)
        if any(each.does == "migration" for each in _launches(project, container, dict(outside) | own)):
            found.extras.append(migrations(container.at))
    for container in template.get("containers").elements():
        image = container.get("image").text or ""
        own = dict(outside) | _environment(container, manifests)
        label = container.get("name").text or name
        match images.kind_of(image):
            case "server":
                limit = images.max_connections(_line(container), own, container.get("args").at)
                if limit is not None:
                    found.limit(limit)
            case "pooler":
                pooler = images.pooler(name, own, container.at)
                found.poolers.append(replace(pooler, pods=pods, rollout=rollout))
            case "application":
                launches = _launches(project, container, own)
                if any(each.does == "migration" for each in launches):
                    found.extras.append(migrations(container.at))
                serving = [each for each in launches if each.does not in ("migration", "once")]
                if launches and not serving:
                    continue
                unit = Unit(
                    name=name,
                    source=document.at,
                    pods=pods,
                    rollout=rollout,
                    launch=None,
                    environment=own,
                    grace=_grace(template),
                )
                if not serving and not _uses_database(container):
                    found.note(
                        container.at, f"container {label} is left out: no command, and no variable of a database"
                    )
                    continue
                found.units += [replace(unit, launch=each) for each in serving] or [unit]


def _pods(spec: Node, kind: str, document: Node) -> Fact[int]:
    replicas = spec.get("replicas")
    if replicas.text is not None and re.fullmatch(r"\d{1,6}", replicas.text):
        return Fact(int(replicas.text), f"{replicas.at} replicas")
    if replicas.exists:
        return Fact(1, f"assumed: one, {replicas.at} is not a number", assumed=True)
    if kind == "DaemonSet":
        return Fact(1, f"assumed: one, {document.at} has one for each node", assumed=True)
    return Fact(1, f"{document.at}, Kubernetes' default of replicas")


def _rollout(spec: Node, kind: str, document: Node) -> Rollout:
    """Return the strategy: a Deployment surges by a quarter where nothing is said, a StatefulSet never."""
    if kind in ("StatefulSet", "ReplicaSet", "DaemonSet"):
        surge = _amount(spec.get("updateStrategy", "rollingUpdate", "maxSurge"))
        return Rollout() if surge is None else Rollout(surge=surge)
    strategy = spec.get("strategy")
    return rollout(strategy, strategy.get("rollingUpdate"), document.at)


def rollout(strategy: Node, rolling: Node, at: str) -> Rollout:
    """Return the strategy of a Deployment."""
    if strategy.get("type").text == "Recreate":
        return Rollout(surge=Fact(Amount(0), f"{strategy.at} Recreate"), unavailable=Fact(Amount(0), strategy.at))
    default = f"{at}, Kubernetes' default"
    surge = _amount(rolling.get("maxSurge"))
    unavailable = _amount(rolling.get("maxUnavailable"))
    return Rollout(
        surge=Fact(QUARTER, f"{default} of maxSurge") if surge is None else surge,
        unavailable=Fact(QUARTER, f"{default} of maxUnavailable") if unavailable is None else unavailable,
    )


def _amount(node: Node) -> Fact[Amount] | None:
    found = re.fullmatch(r"(\d{1,6})\s*(%?)", node.text or "")
    return Fact(Amount(int(found.group(1)), is_percent=bool(found.group(2))), node.at) if found else None


def _grace(template: Node) -> Fact[float]:
    node = template.get("terminationGracePeriodSeconds")
    if node.text is not None and node.text.isdigit():
        return Fact(float(node.text), node.at)
    return Fact(30.0, "Kubernetes' default")


def _job(
    project: Project,
    found: Deployment,
    manifests: _Manifests,
    document: Node,
    kind: str,
    outside: Mapping[str, Fact[str]],
) -> None:
    """Take a job that connects: it does one thing after another, so it holds a connection for each pod."""
    name = document.get("metadata", "name").text or kind.lower()
    spec = document.get("spec", "jobTemplate", "spec") if kind == "CronJob" else document.get("spec")
    if document.get("spec", "suspend").text == "true":
        found.note(document.at, f"{kind} {name} is left out: it is suspended")
        return
    parallel = spec.get("parallelism")
    pods = int(parallel.text) if parallel.text is not None and re.fullmatch(r"\d{1,6}", parallel.text) else 1
    for container in spec.get("template", "spec", "containers").elements():
        launches = _launches(project, container, dict(outside) | _environment(container, manifests))
        if images.kind_of(container.get("image").text or "") != "application":
            continue
        if any(each.does == "migration" for each in launches):
            found.extras.append(migrations(document.at))
        elif launches or _uses_database(container):
            found.extras.append(
                Extra(name=name, connections=Fact(pods, f"{document.at} {kind}"), is_deploy_only=kind == "Job")
            )
    if kind == "CronJob" and document.get("spec", "concurrencyPolicy").text not in ("Forbid", "Replace"):
        found.note(document.at, f"CronJob {name} may overlap itself: concurrencyPolicy is not Forbid")


def _launches(project: Project, container: Node, own: Environment) -> list[Launch]:
    words = [node.words() for node in (container.get("command"), container.get("args"))]
    given = [word for each in words if each is not None for word in ([each] if isinstance(each, str) else each)]
    at = container.get("command" if container.get("command").exists else "args").at
    launches = command.launches(given, at, own, project) if given else []
    if launches or container.get("command").exists:
        return launches
    image = image_of(project, "")
    if image is None:
        return []
    started = image.command
    if given:
        started = image.started_with(given)
    return command.launches(started, image.source, image.environment | own, project)


def _line(container: Node) -> str:
    words = [container.get(name).words() for name in ("command", "args")]
    return " ".join(each if isinstance(each, str) else " ".join(each) for each in words if each is not None)


def _environment(container: Node, manifests: _Manifests) -> Environment:
    """Return a container's variables: those with values, and those of config maps among the manifests."""
    found: Environment = {}
    for source in container.get("envFrom").elements():
        name = source.get("configMapRef", "name").text
        if name in manifests.maps:
            found |= {key: Fact(value.text or "", value.at) for key, value in manifests.maps[name].items()}
    for each in container.get("env").elements():
        name, value = each.get("name").text, each.get("value")
        reference = each.get("valueFrom", "configMapKeyRef")
        if name is not None and value.text is not None:
            expanded = expand(value.text, found)
            if not expanded.missing or "://" in value.text:
                found[name] = Fact(expanded.text, value.at)
        elif name is not None and reference.get("name").text in manifests.maps:
            mapped = manifests.maps[reference.get("name").text or ""].get(reference.get("key").text or "")
            if mapped.text is not None:
                found[name] = Fact(mapped.text, mapped.at)
    return found


def _uses_database(container: Node) -> bool:
    names = [each.get("name").text or "" for each in container.get("env").elements()]
    values = [each.get("value").text or "" for each in container.get("env").elements()]
    return any(_DATABASE.search(name) for name in names) or any("postgres" in value[:16] for value in values)


def _largest(found: Deployment) -> list[Unit]:
    """Return each workload once: overlays describe it again, and the one with the most pods counts."""
    best: dict[tuple[str, str], Unit] = {}
    for each in found.units:
        key = (each.name, each.launch.program if each.launch is not None else "")
        other = best.setdefault(key, each)
        if other is not each and other.source != each.source:
            larger, smaller = (each, other) if each.pods.value > other.pods.value else (other, each)
            best[key] = larger
            found.note(smaller.source, f"{each.name} is described again in {larger.source}, which is counted")
    return list(best.values())
