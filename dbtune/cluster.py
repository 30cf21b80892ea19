"""The workers of a Dask cluster, reached through its scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbtune.errors import ServerError, UsageError

if TYPE_CHECKING:
    from distributed import Client

_WITHIN_S = 10


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to the scheduler at ``address``, such as tcp://10.0.0.5:8786, for the block.

    :raises UsageError: Dask is not installed.
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
        yield client
