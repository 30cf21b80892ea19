"""A project's folder as a fleet: its deployment files say who runs, its code says which pools each process has.

Of several ways to deploy the first counts: Kubernetes manifests, Helm values, compose files, Procfile, Dockerfile,
gunicorn's configuration. Nothing is run or imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from dbtune.errors import UsageError
from dbtune.pool.clues import Clues
from dbtune.pool.fleet import Engine, Extra, Fact, Fleet, Pooler, Server, Service, assumed, engine
from dbtune.pool.kinds import Kind
from dbtune.pool.sources import (
    command,
    compose,
    declared,
    django,
    engines,
    environment,
    gunicorn,
    habits,
    helm,
    kubernetes,
    pgbouncer_ini,
    procfile,
    toml,
)
from dbtune.pool.sources.found import NO_SURGE, ONE_POD, Deployment, Found, Launch, Note, Unit, migrations
from dbtune.pool.sources.options import Engines
from dbtune.pool.sources.project import Project
from dbtune.pool.sources.tree import walk
from dbtune.pool.sources.url import url_of

_LOOKED_FOR = (
    "Kubernetes and Helm YAML, compose files, Procfile, Dockerfile, gunicorn.conf.py, create_engine(…), Django's"
    " DATABASES, pgbouncer.ini"
)
_Named = TypeVar("_Named", Extra, Pooler)

_GRACE = Fact(30.0, "Kubernetes' default")


def read(path: Path, file: Path | None = None, cores: int | None = None) -> Found:
    """Return the fleet of a project's folder, with its own fleet file and ``file`` on top.

    ``cores`` are those of the machines that it runs on, for settings that depend on them.

    :raises UsageError: there is no such folder, or nothing in it tells of connections.
    :raises BadFile: a fleet file is nonsense.
    """
    tree = walk(path)
    project = Project(tree, cores)
    ways = list(_ways(project))
    chosen = next((each for each in ways if each.deployment.units), None)
    reading = _Reading(project)
    deployment = chosen.deployment if chosen is not None else Deployment()
    reading.notes += deployment.notes
    reading.notes += [
        Note(source=", ".join(each.deployment.read), text=f"left out: the {each.name}, in favour of the {chosen.name}")
        for each in ways
        if chosen is not None and each is not chosen and each.deployment.units
    ]
    inis = [each for ini in tree.named("pgbouncer.ini") if (each := pgbouncer_ini.read(tree, ini)) is not None]
    poolers = _distinct([*deployment.poolers, *inis])
    services = reading.services(deployment.units, poolers, is_kubernetes=chosen is not None and chosen.ends_slowly)
    fleet = Fleet(
        services=services,
        server=_server(ways, chosen),
        extras=_distinct([*deployment.extras, *reading.migrations()]),
        poolers=poolers,
    )
    files = [*deployment.read, *sorted(reading.files), *(each.source for each in inis)]
    for own in [*(path / name for name in toml.NAMES), *([file] if file is not None else [])]:
        if own.is_file() or own == file:
            shown = str(own) if own == file else own.name
            fleet = declared.apply(fleet, toml.load(own, shown))
            files.append(shown)
    if not fleet.services and not fleet.poolers and not fleet.extras:
        raise UsageError(
            f"{path}: nothing in it tells of processes with connections (looked for: {_LOOKED_FOR});"
            " name another folder, or write a fleet file and give it with --fleet"
        )
    clues = replace(habits.read(project, reading.all_engines()), proxy_timeout=deployment.proxy_timeout)
    return Found(
        fleet=fleet,
        read=tuple(dict.fromkeys(files)),
        notes=tuple(dict.fromkeys([*reading.notes, *_unused(fleet)])),
        problems=tuple(tree.problems),
        clues=clues,
    )


def read_file(file: Path) -> Found:
    """Return the fleet of a fleet file alone.

    :raises BadFile: it cannot be used.
    """
    said = toml.load(file)
    if not said.services and not said.poolers and not said.rest:
        raise UsageError(f"{file}: names nobody who connects; write [[service]], [[pooler]] or [rest]")
    fleet = declared.apply(Fleet(services=()), said)
    return Found(fleet=fleet, read=(str(file),), notes=_unused(fleet), problems=(), clues=Clues())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way to deploy. ``ends_slowly``: pods that are replaced keep their connections until they have ended."""

    name: str
    deployment: Deployment
    ends_slowly: bool = False


def _ways(project: Project) -> Iterator[_Way]:
    """Yield what each kind of file says of the deployment, the one that counts first."""
    yield _Way(name="Kubernetes manifests", deployment=kubernetes.read(project, {}), ends_slowly=True)
    yield _Way(name="Helm values", deployment=helm.read(project, {}), ends_slowly=True)
    for paths in compose.files(project):
        yield _Way(name="compose file", deployment=compose.read(project, paths, {}))
    for path in project.tree.named("procfile"):
        yield _Way(name="Procfile", deployment=procfile.read(project, path, _dot_env(project)))
    yield _Way(name="Dockerfile", deployment=_image(project))
    yield _Way(name="configuration of gunicorn", deployment=_configured(project))


def _dot_env(project: Project) -> dict[str, Fact[str]]:
    return environment.read(project.tree, ".env") if ".env" in project.tree.files else {}


def _image(project: Project) -> Deployment:
    image = compose.image_of(project, "")
    if image is None:
        return Deployment()
    found = Deployment(read=[image.path])
    for launch in command.launches(image.command, image.source, image.environment, project):
        if launch.does not in ("migration", "once"):
            found.units.append(_unit(project, image.source, launch, image.environment))
        elif launch.does == "migration":
            found.extras.append(migrations(image.source))
    return found


def _configured(project: Project) -> Deployment:
    path = next(project.tree.named(gunicorn.CONFIG), None)
    if path is None:
        return Deployment()
    environment = _dot_env(project)
    unit = _unit(project, path, gunicorn.of_config(path, environment, project), environment)
    return Deployment(units=[unit], read=[path])


def _unit(project: Project, source: str, launch: Launch | None, environment: dict[str, Fact[str]]) -> Unit:
    name = project.tree.root.resolve().name or "application"
    return Unit(name=name, source=source, pods=ONE_POD, rollout=NO_SURGE, launch=launch, environment=environment)


def _server(ways: Sequence[_Way], chosen: _Way | None) -> Server:
    """Return the limit that the deployment states, else another's, which may be a developer's own server."""
    server = Server()
    if chosen is not None and chosen.deployment.max_connections is not None:
        return replace(server, max_connections=chosen.deployment.max_connections)
    other = next((each.deployment.max_connections for each in ways if each.deployment.max_connections), None)
    if other is None:
        return server
    return replace(server, max_connections=Fact(other.value, f"assumed: as in {other.source}", assumed=True))


class _Reading:
    """What the code of a project says for each unit; the same environment is read once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.notes: list[Note] = []
        self.files: set[str] = set()
        self._read: dict[tuple[tuple[str, str], ...], tuple[Engines, Engines]] = {}

    def all_engines(self) -> Engines:
        """Return all calls that were found, for what depends on where they stand."""
        found = Engines()
        for ours, _ in self._read.values():
            found.calls += ours.calls
        return found

    def migrations(self) -> list[Extra]:
        """Return the connection of Alembic's environment, if there is one."""
        first = next((path for ours, _ in self._read.values() for path in ours.migrations), None)
        return [] if first is None else [migrations(first)]

    def services(self, units: Sequence[Unit], poolers: Sequence[Pooler], *, is_kubernetes: bool) -> tuple[Service, ...]:
        """Return the services of a deployment; without one, whatever makes pools counts as one process."""
        if not units:
            bare = _unit(self.project, "", self._elsewhere(), _dot_env(self.project))
            if not self._engines(bare, quietly=True):
                return ()
            units = [bare]
        found: list[Service] = []
        for unit in units:
            service = self._service(unit, poolers, is_kubernetes=is_kubernetes)
            names = {each.name for each in found}
            if service.name in names and service.worker is not None:
                service = replace(service, name=f"{service.name} ({service.worker.program})")
            number = 2
            while service.name in names:
                service = replace(service, name=f"{unit.name} {number}")
                number += 1
            found.append(service)
        return tuple(found)

    def _service(self, unit: Unit, poolers: Sequence[Pooler], *, is_kubernetes: bool) -> Service:
        launch = unit.launch or self._elsewhere()
        made = self._engines(unit)
        rollout = unit.rollout
        if is_kubernetes and (unit.grace or _GRACE).value > 0 and (wave := rollout.wave(unit.pods.value)):
            why = "assumed: pods of one step end together, and keep their connections until they have"
            rollout = replace(rollout, terminating=Fact(wave, why, assumed=True))
        base = Service(
            name=unit.name,
            pods=unit.pods,
            processes=assumed(1, "one process, nothing says what is started"),
            threads=Fact(None, "not known", assumed=True),
            engines=made,
            rollout=rollout,
            via=_via(unit.environment, poolers),
            role=_role(made),
            source=unit.source,
        )
        if launch is None:
            return base
        self.notes += launch.notes
        if launch.by_cores and self.project.cores is None:
            text = "the number of processes depends on the cores, counted with 1: say --cores"
            self.notes.append(Note(source=launch.processes.source, text=text))
        return replace(base, processes=launch.processes, threads=launch.threads, worker=launch.worker)

    def _elsewhere(self) -> Launch | None:
        """Return what a deployment file that names no command may start: the Procfile's web, or gunicorn's file."""
        for path in self.project.tree.named("procfile"):
            units = procfile.read(self.project, path, _dot_env(self.project)).units
            if (unit := next((each for each in units if each.name == "web"), None)) is not None:
                return unit.launch
        configured = _configured(self.project).units
        return configured[0].launch if configured else None

    def _engines(self, unit: Unit, *, quietly: bool = False) -> tuple[Engine, ...]:
        key = tuple(sorted((name, fact.value) for name, fact in unit.environment.items()))
        if key not in self._read:
            ours = engines.read(self.project, unit.environment)
            theirs = django.read(self.project, unit.environment)
            self._read[key] = ours, theirs
            self.notes += [*ours.notes, *theirs.notes]
        calls = [*self._read[key][0].calls, *self._read[key][1].calls]
        self.files |= {each.path for each in calls}
        folder = str(PurePosixPath(unit.folder)) if unit.folder else ""
        near = [each for each in calls if folder and each.path.startswith(f"{folder}/")]
        made = tuple(each.engine for each in near or calls)
        if made or quietly:
            return made
        return self._unseen(unit)

    def _unseen(self, unit: Unit) -> tuple[Engine, ...]:
        """Return a default pool where the code that makes it is not among what was read."""
        self.notes.append(
            Note(source=unit.source, text=f"{unit.name}: no pool is made in what was read; SQLAlchemy's default counts")
        )
        return (
            engine(
                Kind.SQLALCHEMY,
                pool_size=assumed(5, "SQLAlchemy's default"),
                max_overflow=assumed(10, "SQLAlchemy's default"),
                source=unit.source,
            ),
        )


def _distinct(named: Sequence[_Named]) -> tuple[_Named, ...]:
    """Return what has a name once, the first."""
    found: dict[str, _Named] = {}
    for each in named:
        found.setdefault(each.name, each)
    return tuple(found.values())


def _via(variables: Mapping[str, Fact[str]], poolers: Sequence[Pooler]) -> str | None:
    """Return the pooler that a variable names as the host, None where none does."""
    for each in poolers:
        for name, fact in variables.items():
            url = url_of(fact.value)
            host = url.host if url is not None else fact.value if name.upper().endswith("HOST") else None
            if host is not None and host.partition(".")[0] == each.name:
                return each.name
    return None


def _role(made: Sequence[Engine]) -> Fact[str] | None:
    """Return the role that all engines log in as."""
    users = {each.user.value for each in made if each.user is not None}
    return next((each.user for each in made if each.user is not None), None) if len(users) == 1 else None


def _unused(fleet: Fleet) -> tuple[Note, ...]:
    """Return what may be counted twice: a pooler and services that nobody says go through it."""
    used = {each.via for each in fleet.services}
    return tuple(
        Note(source=each.source, text=f'nobody says who connects through {each.name}: write via = "{each.name}"')
        for each in fleet.poolers
        if each.name not in used
    )
