"""Somebody dies, or is told to stop, in the middle of it: the server process, the server, the client."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

from dbtune.migration.verify.injections.fault import Act, Fault
from dbtune.migration.verify.process import Client, Ended
from dbtune.migration.verify.scene import NotMet, Scene, go_on

_AT_ONCE_S = 3.0


def killed_in_scan(scene: Scene) -> Iterator[list[Ended]]:
    """Kill -9 the server process that reads the table for the index; the server restarts all others."""
    client, pid = _in_scan(scene)
    os.kill(pid, signal.SIGKILL)
    yield [client.end()]


def killed_in_validation(scene: Scene) -> Iterator[list[Ended]]:
    """Kill -9 the server process when the index is built and is looked through once more."""
    with scene.in_validation() as (client, pid, release):
        os.kill(pid, signal.SIGKILL)
        yield [_ended(client, release)]


def server_stopped(scene: Scene) -> Iterator[list[Ended]]:
    """Stop the server immediately while the upgrade waits for a writer; it is started again."""
    with scene.writer() as writer:
        client = scene.start()
        scene.held_up(client)
        scene.cluster.stop_immediately()
        yield [_ended(client, writer.release)]


def cancelled(scene: Scene) -> Iterator[list[Ended]]:
    """Cancel its statement, as an operator does who sees it wait."""
    with scene.writer() as writer:
        client = scene.start()
        _signal_backend(scene, scene.held_up(client), "pg_cancel_backend")
        yield [_ended(client, writer.release)]


def cancelled_in_scan(scene: Scene) -> Iterator[list[Ended]]:
    """Cancel its statement while it reads the table."""
    client, pid = _in_scan(scene)
    _signal_backend(scene, pid, "pg_cancel_backend")
    go_on(pid)
    yield [client.end()]


def cancelled_in_validation(scene: Scene) -> Iterator[list[Ended]]:
    """Cancel its statement when the index is built already."""
    with scene.in_validation() as (client, pid, release):
        _signal_backend(scene, pid, "pg_cancel_backend")
        yield [_ended(client, release)]


def terminated(scene: Scene) -> Iterator[list[Ended]]:
    """End its session while it waits."""
    with scene.writer() as writer:
        client = scene.start()
        _signal_backend(scene, scene.held_up(client), "pg_terminate_backend")
        yield [_ended(client, writer.release)]


def terminated_in_validation(scene: Scene) -> Iterator[list[Ended]]:
    """End its session when the index is built already."""
    with scene.in_validation() as (client, pid, release):
        _signal_backend(scene, pid, "pg_terminate_backend")
        yield [_ended(client, release)]


def client_signalled(number: signal.Signals) -> Act:
    """Return what sends the client a signal while its server process waits."""

    def act(scene: Scene) -> Iterator[list[Ended]]:
        with scene.writer() as writer:
            client = scene.start()
            scene.held_up(client)
            client.send(number)
            yield [_ended(client, writer.release)]

    return act


def orphaned(scene: Scene) -> Iterator[list[Ended]]:
    """Kill the client, and run the same again while its server process is still at it."""
    with scene.writer() as writer:
        first = scene.start()
        scene.held_up(first)
        first.kill()
        second = scene.start()
        if not second.ends_within(_AT_ONCE_S):
            writer.release()
        yield [first.end(), second.end()]


def killed_before_note(scene: Scene) -> Iterator[list[Ended]]:
    """Kill the client when all is done but the note of it in Alembic's version table."""
    with scene.hold(f"LOCK TABLE {scene.version_table} IN SHARE MODE"):
        client = scene.start()
        scene.held_up(client)
        client.kill()
        yield [client.end()]


def _ended(client: Client, release: Callable[[], None]) -> Ended:
    """Return how it ended. One that goes on all the same, or tries again, need not wait any more then."""
    if not client.ends_within(_AT_ONCE_S):
        release()
    return client.end()


def _in_scan(scene: Scene) -> tuple[Client, int]:
    """Return a client and its server process, stopped in the scan of the table."""
    with scene.writer() as writer:
        client = scene.start()
        pid = scene.held_up(client)
        if not scene.step_into(pid, "building index: ", writer.release):
            raise NotMet("no build was seen at work: there is none, or it is over too soon; give more --rows")
        return client, pid


def _signal_backend(scene: Scene, pid: int, function: str) -> None:
    with scene.cluster.maintenance() as run:
        run(f"SELECT pg_catalog.{function}({pid})")


FAULTS = (
    Fault(name="backend-killed-scan", says="kill -9 of the backend in the scan", act=killed_in_scan),
    Fault(name="backend-killed-validation", says="kill -9 of the backend in validation", act=killed_in_validation),
    Fault(name="server-stopped", says="immediate stop of the server", act=server_stopped),
    Fault(name="cancelled-waiting", says="pg_cancel_backend while it waits", act=cancelled),
    Fault(name="cancelled-scan", says="pg_cancel_backend in the scan", act=cancelled_in_scan),
    Fault(name="cancelled-validation", says="pg_cancel_backend in validation", act=cancelled_in_validation),
    Fault(name="terminated-waiting", says="pg_terminate_backend while it waits", act=terminated),
    Fault(name="terminated-validation", says="pg_terminate_backend in validation", act=terminated_in_validation),
    Fault(name="client-sigint", says="Ctrl-C of the client in the wait", act=client_signalled(signal.SIGINT)),
    Fault(name="client-sigterm", says="SIGTERM of the client in the wait", act=client_signalled(signal.SIGTERM)),
    Fault(name="client-sigkill", says="SIGKILL of the client in the wait", act=client_signalled(signal.SIGKILL)),
    Fault(name="orphan", says="again while a killed one's build runs", act=orphaned),
    Fault(name="killed-before-note", says="client killed before the note", act=killed_before_note),
)
