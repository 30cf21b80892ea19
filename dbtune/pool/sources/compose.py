"""docker-compose files: services with their commands, replicas and variables; PostgreSQL's limit; PgBouncer."""

from __future__ import annotations

import os.path
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from dbtune.pool.fleet import Amount, Fact, Rollout
from dbtune.pool.sources import command, dockerfile, environment, images
from dbtune.pool.sources.found import NO_SURGE, Deployment, Launch, Unit, migrations
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.words import expand
from dbtune.pool.sources.yaml_node import Node, documents

_NAME = re.compile(r"(docker-)?compose(\.[\w.-]+)?\.ya?ml$")
_DATABASE = re.compile(r"DATABASE|POSTGRES|^PG|^DB_|SQLALCHEMY|_DSN$")

Environment = dict[str, Fact[str]]


def files(project: Project) -> list[list[str]]:
    """Return the compose files of each folder: the base, then an override and one for production."""
    folders: dict[str, list[str]] = {}
    for path in project.tree.files:
        if _NAME.match(PurePosixPath(path).name):
            folders.setdefault(str(PurePosixPath(path).parent), []).append(path)
    return [sorted(paths, key=_order) for paths in folders.values()]


def _order(path: str) -> tuple[int, str]:
    name = PurePosixPath(path).name
    if name.count(".") == 1:
        return 0, name
    return (2, name) if "prod" in name else (1 if "override" in name else 3, name)


def read(project: Project, paths: list[str], outside: Mapping[str, Fact[str]]) -> Deployment:
    """Return what compose files of one folder tell; of those beside the base, only one for production is read."""
    found = Deployment()
    base = paths[0]
    used = [base, *(path for path in paths[1:] if "prod" in PurePosixPath(path).name)]
    for path in paths:
        if path not in used:
            found.note(path, f"is left out: {base} is read")
    services: dict[str, list[Node]] = {}
    for path in used:
        for document in documents(project.tree, path):
            for name, node in document.get("services").items():
                services.setdefault(name, []).insert(0, node)
            if document.get("include").exists:
                found.note(path, "what it includes is not read")
        found.read.append(path)
    folder = str(PurePosixPath(base).parent)
    dot_env = str(PurePosixPath(folder) / ".env")
    variables = dict(outside) | (environment.read(project.tree, dot_env) if dot_env in project.tree.files else {})
    for name in services:
        _service(project, found, name, _extended(name, services, found), folder, variables)
    return found


def _extended(name: str, services: Mapping[str, list[Node]], found: Deployment) -> list[Node]:
    """Return a service's nodes, those that it extends after its own; another file's are not read, which is told."""
    nodes: list[Node] = []
    seen: set[str] = set()
    following: str | None = name
    while following is not None and following not in seen and following in services:
        seen.add(following)
        nodes += services[following]
        given = next((each for node in services[following] if (each := node.get("extends")).exists), None)
        following = None if given is None else given.text or given.get("service").text
        if given is not None and (given.get("file").exists or following not in services):
            found.note(given.at, f"what {name} extends is not read: it is in another file, or not there")
            following = None
    return nodes


@dataclass(frozen=True, slots=True)
class _Layers:
    """One service as several files write it, the one that counts first."""

    nodes: list[Node]

    def get(self, *path: str) -> Node:
        """Return what the first file that says it says."""
        return next(
            (found for each in self.nodes if (found := each.get(*path)).exists), Node(None, self.nodes[-1].path)
        )


def _service(
    project: Project, found: Deployment, name: str, nodes: list[Node], folder: str, variables: Environment
) -> None:
    layers = _Layers(nodes)
    source = nodes[-1].at
    own: Environment = {}
    for node in reversed(nodes):
        own |= _environment(project, node, folder, variables)
    build = layers.get("build", "context").text or layers.get("build").text
    image = expand(layers.get("image").text or "", variables).text
    kind = images.kind_of(image) if image and build is None else "application"
    if kind == "server":
        words = layers.get("command")
        limit = images.max_connections(words.words(), own, words.at)
        if limit is not None:
            found.limit(limit)
    elif kind == "pooler":
        found.poolers.append(images.pooler(name, own, source))
    elif kind == "application" and layers.get("profiles").elements():
        found.note(source, f"{name} is left out: it runs under a profile only")
    elif kind == "application":
        _application(project, found, name, layers, folder, build, own, variables)


def _application(
    project: Project,
    found: Deployment,
    name: str,
    layers: _Layers,
    folder: str,
    build: str | None,
    own: Environment,
    outside: Environment,
) -> None:
    source, variables = layers.nodes[-1].at, outside | own
    context = str(PurePosixPath(folder) / build) if build is not None else None
    launches = _launches(project, layers, variables, context)
    if any(each.does == "migration" for each in launches):
        found.extras.append(migrations(source))
    serving = [each for each in launches if each.does not in ("migration", "once")]
    if launches and not serving:
        return
    if not serving and not _uses_database(own):
        found.note(source, f"{name} is left out: nothing says what it starts, nor that it knows a database")
        return
    replicas = next((each for each in (layers.get("deploy", "replicas"), layers.get("scale")) if each.exists), None)
    pods = None if replicas is None else _number(replicas, variables)
    if replicas is not None and pods is None:
        found.note(replicas.at, f"{name}: how many replicas is not known, one is counted")
    unit = Unit(
        name=name,
        source=source,
        pods=pods or Fact(1, f"{source}, no replicas"),
        rollout=_rollout(layers, pods.value if pods else 1),
        launch=None,
        environment=variables,
        folder="" if context in (None, ".") else str(context),
    )
    found.units += [replace(unit, launch=each) for each in serving] or [unit]


def _launches(project: Project, layers: _Layers, variables: Environment, context: str | None) -> list[Launch]:
    """Return what a service starts: its own entrypoint and command, else those of the image that it builds."""
    parts = [node.words() for node in (layers.get("entrypoint"), layers.get("command"))]
    given = [each for each in parts if each is not None]
    if given:
        started = given[0] if len(given) == 1 else " ".join(e if isinstance(e, str) else shlex.join(e) for e in given)
        at = layers.get("command" if layers.get("command").exists else "entrypoint").at
        plain = started.replace("$$", "$") if isinstance(started, str) else [w.replace("$$", "$") for w in started]
        launches = command.launches(plain, at, variables, project)
        if launches or layers.get("entrypoint").exists:
            return launches
    build = layers.get("build", "dockerfile").text, layers.get("build", "target").text
    if context is not None and (image := image_of(project, context, *build)) is not None:
        if given and image.entrypoint is not None:
            return command.launches(image.started_with(plain), image.source, image.environment | variables, project)
        return command.launches(image.command, image.source, image.environment | variables, project)
    return []


def image_of(
    project: Project, folder: str, name: str | None = None, target: str | None = None
) -> dockerfile.Image | None:
    """Return the image that a folder's Dockerfile builds, the nearest to the folder, or the file of that ``name``."""
    prefix = folder.removeprefix("./").strip("/")
    if name is not None:
        path = os.path.normpath(str(PurePosixPath(prefix) / name))
        return dockerfile.read(project.tree, path, target) if path in project.tree.files else None
    found = [path for path in project.tree.files if "dockerfile" in PurePosixPath(path).name.lower()]
    for path in project.tree.below(prefix, found):
        if (image := dockerfile.read(project.tree, path, target)) is not None:
            return image
    return None


def _environment(project: Project, node: Node, folder: str, variables: Environment) -> Environment:
    found: Environment = {}
    file = node.get("env_file")
    for each in [file, *file.elements()]:
        path = each.text or each.get("path").text
        if path:
            relative = str(PurePosixPath(folder) / path.removeprefix("./"))
            if relative in project.tree.files:
                found |= environment.read(project.tree, relative)
    listed = node.get("environment")
    for each in listed.elements():
        name, equals, value = (each.text or "").partition("=")
        if equals:
            _put(found, name, value, each.at, variables)
        elif name in variables:
            found[name] = variables[name]
    for name, value_node in listed.items():
        if value_node.text is not None and value_node.exists:
            _put(found, name, value_node.text, value_node.at, variables)
    return found


def _put(found: Environment, name: str, value: str, at: str, variables: Environment) -> None:
    """Take a variable, with others put in; what depends on one that is not set is left unknown."""
    expanded = expand(value, variables)
    if expanded.missing and "://" not in value:
        return
    told = f"{at}, {'; '.join(expanded.sources)}" if expanded.sources else at
    found[name] = Fact(expanded.text, told)


def _uses_database(own: Environment) -> bool:
    return any(_DATABASE.search(name) or "postgres" in fact.value[:16] for name, fact in own.items())


def _number(node: Node, variables: Environment) -> Fact[int] | None:
    text = expand(node.text or "", variables).text
    return Fact(int(text), node.at) if re.fullmatch(r"\d{1,6}", text) else None


def _rollout(layers: _Layers, pods: int) -> Rollout:
    """Return how a swarm replaces containers: all the old ones stay where the new ones start first."""
    order = layers.get("deploy", "update_config", "order")
    if order.text != "start-first":
        return NO_SURGE
    parallel = _number(layers.get("deploy", "update_config", "parallelism"), {})
    number = 1 if parallel is None else parallel.value or pods
    return replace(NO_SURGE, surge=Fact(Amount(number), order.at))
