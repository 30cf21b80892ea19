"""``dbtune size --fleet``: the pools of all services that share a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dbtune.cli import fleet_asking, options, output
from dbtune.errors import UsageError
from dbtune.pool import fleet_sizing
from dbtune.pool.curve import Curve
from dbtune.pool.fleet import Fact, Fleet, Service
from dbtune.pool.prediction import Demand
from dbtune.pool.recommendation import Goal
from dbtune.render import document
from dbtune.render import fleet_size as render

FROM_FLEET = ("pool_size", "max_overflow", "pool_timeout", "processes", "reserved")
"""Parameters that the fleet tells."""

NOT_WITH_FLEET = ("sweep", "html", "interval", "query_dir")


def run(
    path: Path,
    service: str | None,
    demand: Demand | None,
    goal: Goal,
    cores: int | None,
    max_connections: int | None,
    url: str | None,
    format: options.Format,
    output_file: Path | None,
    *,
    quiet: bool,
) -> None:
    """Size a fleet, and write the page.

    :raises UsageError: nothing tells what is asked of the services, or of which one.
    """
    file, folder = (path, None) if path.is_file() else (None, path)
    found = fleet_asking.ask(folder, file, cores, max_connections, url, quiet=quiet)
    fleet = found.fleet
    named = _named(fleet, service, demand)
    if named is not None:
        fleet = replace(fleet, services=tuple(_only(each, named, demand) for each in fleet.services))
    demands = {named: demand} if named is not None and demand is not None else {}
    advice = fleet_sizing.advise(fleet, goal, demands, cores)
    if format is options.Format.JSON:
        text = document.to_json(render.document(found, advice))
    else:
        width = 200 if output_file is not None else output.width()
        text = render.screen(found, advice, width, markdown=format is options.Format.MARKDOWN)
    output.write(text, output_file)


def _only(each: Service, named: str, demand: Demand | None) -> Service:
    """Return a service that is asked for something only if it is the named one, then what is given by hand."""
    if each.name != named:
        return replace(each, rate=None, hold=None)
    if demand is None:
        return each
    held = "--hold" if demand.curve.is_straight else "--curve"
    return replace(each, rate=Fact(demand.rate, "--rate"), hold=Fact(demand.curve.hold(1), held))


def law(
    hold_ms: float | None, curve: Curve | None, rate: float | None, variation: float, burst: float
) -> Demand | None:
    """Return what is given by hand, None where nothing is.

    :raises UsageError: half of it is given.
    """
    if rate is None and hold_ms is None and curve is None:
        return None
    if rate is None or (hold_ms is None and curve is None):
        raise UsageError("give both --rate and --hold (or --curve), or write them into the fleet file")
    made = curve if curve is not None else Curve.straight((hold_ms or 0) / 1000)
    return Demand(rate=rate, curve=made, variation=variation, burstiness=burst)


def _named(fleet: Fleet, service: str | None, demand: Demand | None) -> str | None:
    """Return the service that is meant, None for all that say what is asked of them."""
    names = [each.name for each in fleet.services]
    if service is not None:
        if service not in names:
            raise UsageError(
                f"--service {service}: there is none of that name; there are: {', '.join(names) or 'none'}"
            )
        return service
    if demand is None:
        return None
    lasting = [each.name for each in fleet.services if not each.is_deploy_only]
    if len(lasting) != 1:
        raise UsageError(f"--rate is of which service? Give --service; there are: {', '.join(names) or 'none'}")
    return lasting[0]
