"""Helm charts by their values: replicas, autoscaling, surge, commands and variables under the usual keys.

The templates are programs, which are not run; what they do beside the usual is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from dbtune.pool.fleet import Fact
from dbtune.pool.sources import command
from dbtune.pool.sources.compose import image_of
from dbtune.pool.sources.found import Deployment, Launch, Unit
from dbtune.pool.sources.kubernetes import rollout
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.yaml_node import Node, documents

Environment = dict[str, Fact[str]]

_REPLICAS = ("replicaCount", "replicas", "deployment.replicas", "deployment.replicaCount")
_MOST = (
    "autoscaling.maxReplicas",
    "hpa.maxReplicas",
    "horizontalPodAutoscaler.maxReplicas",
    "autoscaler.maxReplicas",
    "maxReplicas",
)
_SWITCHES = (
    "autoscaling.enabled",
    "hpa.enabled",
    "horizontalPodAutoscaler.enabled",
    "autoscaler.enabled",
    "autoscaling",
)
_STRATEGIES = ("strategy", "deploymentStrategy", "updateStrategy", "deployment.strategy")
_OTHERS = re.compile(
    r"postgres|redis|rabbitmq|nginx|ingress|mysql|mongo|minio|memcached|pgbouncer|global|image|resources"
)
_LIMITS = (
    "postgresql.primary.extendedConfiguration",
    "postgresql.postgresqlExtendedConf",
    "postgresql.primary.configuration",
)


def read(project: Project, outside: Mapping[str, Fact[str]]) -> Deployment:
    """Return what the charts of a tree tell by their values, those for production over the others."""
    found = Deployment()
    for chart in project.tree.named("chart.yaml"):
        folder = str(PurePosixPath(chart).parent)
        values = [path for path in project.tree.files if _is_values(path, folder)]
        if not values:
            continue
        base = next((path for path in values if PurePosixPath(path).name in ("values.yaml", "values.yml")), values[0])
        production = [path for path in values if path != base and "prod" in PurePosixPath(path).name]
        for path in values:
            if path != base and path not in production:
                found.note(path, f"is left out: {base} is read")
        layers = [node for path in [*reversed(production), base] for node in documents(project.tree, path)]
        if not layers:
            continue
        found.read += [*production, base]
        name = next((each.get("name").text for each in documents(project.tree, chart)), None) or folder
        _chart(project, found, name, _Values(layers), base, outside)
        if any(path.startswith(f"{folder}/templates/") for path in project.tree.files):
            found.note(f"{folder}/templates", "templates are not filled in: only the values are read")
    return found


def _is_values(path: str, folder: str) -> bool:
    parts = PurePosixPath(path)
    is_here = str(parts.parent) == folder or str(parts.parent) == f"{folder}/values"
    return is_here and re.fullmatch(r"values([.-][\w.-]+)?\.ya?ml", parts.name) is not None


class _Values:
    """Values of several files, the one that counts first."""

    def __init__(self, layers: list[Node]) -> None:
        self.layers = layers

    def first(self, *paths: str) -> Node:
        """Return what is at the first of several paths, written with dots."""
        for path in paths:
            for layer in self.layers:
                if (node := layer.first_of(path)).exists:
                    return node
        return Node(None, self.layers[-1].path)

    def below(self, key: str) -> _Values:
        """Return the values of one component."""
        return _Values([layer.get(key) for layer in self.layers])

    def sections(self) -> list[str]:
        """Return the keys that have keys themselves."""
        return list(dict.fromkeys(name for each in self.layers for name, value in each.items() if value.is_mapping))


def _chart(
    project: Project, found: Deployment, name: str, values: _Values, base: str, outside: Mapping[str, Fact[str]]
) -> None:
    for path in _LIMITS:
        text = values.first(path).text or ""
        if (limit := re.search(r"max_connections\s*=\s*'?(\d{1,6})", text)) is not None:
            found.limit(Fact(int(limit.group(1)), values.first(path).at))
    limit_node = values.first("postgresql.maxConnections", "postgresql.postgresqlMaxConnections")
    if limit_node.text is not None and limit_node.text.isdigit():
        found.limit(Fact(int(limit_node.text), limit_node.at))
    parts = [
        key
        for key in values.sections()
        if not _OTHERS.search(key.lower()) and values.below(key).first(*_REPLICAS).exists
    ]
    shared = _environment(values)
    for key in parts:
        if values.below(key).first("enabled").text == "false":
            continue
        _component(project, found, f"{name}-{key}", values.below(key), base, dict(outside) | shared)
    if not parts:
        _component(project, found, name, values, base, dict(outside))


def _component(
    project: Project, found: Deployment, name: str, values: _Values, base: str, outside: Environment
) -> None:
    own = outside | _environment(values)
    launches = _launches(project, values, own)
    serving: list[Launch | None] = [each for each in launches if each.does not in ("migration", "once")]
    if launches and not serving:
        return
    strategy = values.first(*_STRATEGIES)
    rolling = strategy.get("rollingUpdate") if strategy.get("rollingUpdate").exists else values.first("rollingUpdate")
    unit = Unit(
        name=name,
        source=base,
        pods=_pods(values, base),
        rollout=rollout(strategy, rolling, base),
        launch=None,
        environment=own,
    )
    found.units += [replace(unit, launch=each) for each in serving or [None]]


def _pods(values: _Values, base: str) -> Fact[int]:
    replicas, most = values.first(*_REPLICAS), values.first(*_MOST)
    is_scaled = any(values.first(switch).text == "true" for switch in _SWITCHES)
    if is_scaled and most.text is not None and re.fullmatch(r"\d{1,6}", most.text):
        return Fact(int(most.text), f"{most.at} maxReplicas")
    if replicas.text is not None and re.fullmatch(r"\d{1,6}", replicas.text):
        return Fact(int(replicas.text), f"{replicas.at} replicas")
    return Fact(1, f"assumed: one, {base} does not say how many", assumed=True)


def _launches(project: Project, values: _Values, own: Environment) -> list[Launch]:
    words = [values.first(path).words() for path in ("command", "args")]
    given = [word for each in words if each is not None for word in ([each] if isinstance(each, str) else each)]
    if given:
        launches = command.launches(given, values.first("command", "args").at, own, project)
        if launches:
            return launches
    image = image_of(project, "")
    return [] if image is None else command.launches(image.command, image.source, image.environment | own, project)


def _environment(values: _Values) -> Environment:
    found: Environment = {}
    for path in ("extraEnv", "envVars", "environment", "config", "env"):
        node = values.first(path)
        pairs = [*node.items(), *((each.get("name").text or "", each.get("value")) for each in node.elements())]
        found |= {name: Fact(value.text, value.at) for name, value in pairs if name and value.text is not None}
    return found
