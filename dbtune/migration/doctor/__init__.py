"""An Alembic project, read and not run: what keeps indexes from being built CONCURRENTLY, and the lines to write.

    finding     what is found, as data
    settings    alembic.ini and pyproject.toml: options, and the lines that they stand in
    source      a Python file: its tree, lines, and exact edits
    values      what a name of env.py may stand for: an engine, a connection, a transaction
    choices     the ways through env.py, one after the other
    names       scopes, imports, and the project's own modules that env.py imports from
    walk        one way through env.py, statement by statement
    calls       what calls of Alembic's, SQLAlchemy's and Python's own functions do
    trace       what was seen on a way: configure(), run_migrations(), statements
    transactions, locks, addresses, options     what is wrong with it
    several     environments for several databases or schemas
    revisions   the revision files and what follows what
    concurrently, elsewhere     revisions by hand that build in, or beside, the transaction of Alembic's
    history     what is wrong with the revisions and their order
    files       what Alembic needs before any revision
    mends       edits of env.py
    examination all of it

Nothing of the project is imported or executed: env.py may open a database.
"""
