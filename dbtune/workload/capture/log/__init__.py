"""Queries and events from a server's log: stderr with any prefix, csvlog and jsonlog, packed or growing.

for execution in executions(read(Path("postgresql.log"))):
    ...
"""

from dbtune.workload.capture.log.entry import Entry, Unread
from dbtune.workload.capture.log.events import Event, Kind, event, events
from dbtune.workload.capture.log.prefix import Prefix, fitting, prefix
from dbtune.workload.capture.log.reader import Format, Reading, follow, read
from dbtune.workload.capture.log.statements import executions

__all__ = [
    "Entry",
    "Event",
    "Format",
    "Kind",
    "Prefix",
    "Reading",
    "Unread",
    "event",
    "events",
    "executions",
    "fitting",
    "follow",
    "prefix",
    "read",
]
