"""A change of indexes as a value: what it sends, how it is undone, the Alembic revision that carries it.

    definition   an index in full, as values          statement   CREATE INDEX and its kin, read from text
    block        the PL/pgSQL that looks before it acts    catalog     what a server says of a text or an index
    step         statements outside and inside of the transaction that notes a revision as done
    create, drop, replace, constraint, partitioned    the changes
    evidence     why: the queries, the sizes           model       the Index(…) line for the models
    revision     a change as the parts of a file      project     the host's Alembic environment
    run          a change on a connection             advised     advice as revisions

A change needs no server to be made, printed or written down. State is read from the catalogs each time it is run.
"""
