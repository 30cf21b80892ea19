"""The workers of a Dask cluster, reached through its scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING

from dbtune import __version__
from dbtune.errors import ServerError, UsageError

if TYPE_CHECKING:
    from distributed import Client

_WITHIN_S = 10


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to the scheduler at ``address``, such as tcp://10.0.0.5:8786, for the block.

    :raises UsageError: Dask is not installed, or a worker has another dbtune or none.
    :raises ServerError: the scheduler cannot be reached.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--cluster needs Dask: pip install 'dbtune[cluster]'") from None
    try:
        client = Client(address, timeout=_WITHIN_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ServerError(f"--cluster {address}: the scheduler cannot be reached: {reason}") from None
    with client:
        _check(client)
        yield client


def _check(client: Client) -> None:
    """Find out whether all workers have the dbtune that is here: one that has none would end at the first task."""
    for worker, found in client.run(metadata.version, "dbtune", on_error="return").items():
        if found != __version__:
            has = f"dbtune {found}" if isinstance(found, str) else "no dbtune"
            raise UsageError(f"worker {worker} has {has}, and here is dbtune {__version__}: install the same there")
