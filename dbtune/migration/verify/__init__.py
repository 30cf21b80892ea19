"""A revision of the host's, judged by faults put into it, on a throw-away server that nobody else can reach.

    guard        in the process that runs env.py: connections go to the throw-away server or nowhere
    client       what that process runs: Alembic's own commands, or dbtune's
    address      the throw-away database, in the words of the host's own URL
    cluster      the server, and a fresh database for each fault
    process      clients as processes of their own
    inventory    what a database holds, by name and by identity
    subject      what the revision changes: the difference between two inventories
    schema       tables as the data need them            values    an expression for each type
    rows         data from the schema, as INSERT         fill      sending them, and what was refused
    scene        the tools of the faults                 injections/    the faults
    judge        fault by fault: state left, exit code, run again
    verification all of it

Safety comes first: env.py may take its URL from anywhere. It is never run but under the guard, which ends the process
before it opens any other database.
"""
