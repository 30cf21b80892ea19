"""``dbtune indexes``: what indexes cost and are not worth, and where one is missing."""

from __future__ import annotations

from dbtune.cli import health, options
from dbtune.cli.health import Threshold


def indexes(
    interval: health.Interval = None,
    window: health.Window = "24h",
    history: health.History = None,
    no_history: health.NoHistory = False,
    replica: health.Replica = None,
    limit: health.LimitOf = None,
    ignore: health.Ignored = None,
    ignores: health.IgnoreFile = None,
    measure_bloat: health.MeasureBloat = False,
    every: health.Every = False,
    rules: health.Rules = False,
    fail_on: health.FailOn = Threshold.NEVER,
    url: options.Url = None,
    format: options.OutputFormat = options.Format.TABLE,
    output_file: options.Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Find indexes that are unused, there twice, superfluous, INVALID, bloated, mostly NULL; foreign keys without.

    Each finding has what the index costs, how sure that is, and the command that makes the revision. It only reads.

    \b
    Example: dbtune indexes
             dbtune indexes --replica postgresql://standby1/shop --fail-on warning
             dbtune indexes --ignore unused-index:public.report_idx --limit unused-index.days=90
    """
    health.run(
        "indexes",
        ["indexes"],
        interval=interval,
        window=window,
        history=history,
        no_history=no_history,
        replica=replica,
        limit=limit,
        ignore=ignore,
        ignores=ignores,
        measure_bloat=measure_bloat,
        every=every,
        rules=rules,
        fail_on=fail_on,
        url=url,
        format=format,
        output_file=output_file,
        quiet=quiet,
    )
