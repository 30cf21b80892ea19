"""A closed loop over a service: n callers that ask again as soon as they are answered, for what it can do at best."""

from __future__ import annotations

import asyncio
import base64
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from yarl import URL

from dbtune.errors import ServerError
from dbtune.load.route import Route

_WARM = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Looped:
    """What ``callers`` got done in a second, the mean seconds of one, and the coefficient of variation of those."""

    callers: int
    per_second: float
    seconds: float
    variation: float


async def loop(
    target: str,
    routes: Sequence[Route],
    callers: int,
    seconds: float,
    *,
    user: tuple[str, str] | None = None,
    seed: int = 1,
    keep_alive: bool = True,
    failing: bool = False,
) -> Looped:
    """Ask for ``seconds``, after a warming up, with a connection each; ``failing``: for answers that are errors.

    :raises ServerError: an answer is an error, or is not where it should be, or there is none.
    """
    headers = {}
    if user is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(user).encode()).decode()}"
    began = time.perf_counter()
    counted_from, end = began + _WARM * seconds, began + (1 + _WARM) * seconds
    times: list[float] = []
    connector = aiohttp.TCPConnector(limit=0, force_close=not keep_alive)
    async with aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=False) as session:

        async def call(number: int) -> None:
            turn = number
            while (asked := time.perf_counter()) < end:
                request = routes[turn % len(routes)].request(turn, seed)
                turn += callers
                async with session.request(
                    request.method,
                    URL(target + request.path, encoded=True),
                    json=request.body,
                    headers=request.headers or None,
                    allow_redirects=False,
                ) as answer:
                    await answer.read()
                if (answer.status >= 400) is not failing:
                    raise ServerError(f"{target}{request.path} answered {answer.status}")
                if asked >= counted_from:
                    times.append(time.perf_counter() - asked)

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(callers):
                    group.create_task(call(number))
        except* (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ServerError(f"{target} does not answer: {error.exceptions[0]}") from None
        except* ServerError as error:
            raise error.exceptions[0] from None
    mean = statistics.fmean(times) if times else seconds
    spread = statistics.pstdev(times) / mean if len(times) > 1 and mean else 1.0
    return Looped(callers=callers, per_second=callers / mean, seconds=mean, variation=spread)
