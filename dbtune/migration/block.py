"""The statements that a change sends around the one that it is about, most of them PL/pgSQL that looks before it acts.

They are the same online and offline: what must be decided is decided by the server, in DO blocks, so that a script that
was printed long ago is as safe as a run. A block that waits commits between two looks, because CREATE INDEX
CONCURRENTLY waits for every snapshot that is older than its own.

An index that has to go is renamed first, by the block that has found it to be ours, and the name that nobody else uses
is dropped then, CONCURRENTLY: no script, however it is run, can drop an index by a name that became another's.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from textwrap import indent

from dbtune.index.definition import Key
from dbtune.migration.definition import Definition
from dbtune.migration.name import digest, qualified, quoted
from dbtune.sql import quote_literal

SETTINGS = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
"""What would cut a build short; the last is there from PostgreSQL 17 on."""

MARK = "dbtune"
"""The first word of the comment on an index that a revision made."""

NOTHING = "\1"
"""A line that :func:`within` leaves out."""

_PAUSE_S = 0.5
_BREAK = "\0"
_NAMES = indent(",\n".join(map(quote_literal, SETTINGS)), "    ")
_ALWAYS = SETTINGS[:3]
_TURN_S = 2
_PATIENCE = "15 min"


def do(body: str, declare: str = "") -> str:
    """Return a DO block, quoted by a word that is not in it."""
    tag = "$dbtune$"
    number = 0
    while tag in body + declare:
        number += 1
        tag = f"$dbtune{number}$"
    declared = f"DECLARE\n{indent(declare.strip(), '    ')}\n" if declare else ""
    return f"DO {tag}\n{declared}BEGIN\n{within(body)}END\n{tag}"


def within(body: str) -> str:
    """Return PL/pgSQL as it stands in the lines of a block."""
    lines = indent(f"{body.strip()}\n", "    ")
    return lines.replace(f"    {NOTHING}\n", "").replace(_BREAK, "\n")


def kept(sql: str) -> str:
    """Return a user's SQL so that blocks are not indented inside of it: a line break may be part of a constant."""
    return sql.replace("\n", _BREAK)


def prepare() -> tuple[str, ...]:
    """Return what lifts the session's time limits, and remembers them for :func:`restore`."""
    remember = do(
        f"""
FOREACH name IN ARRAY ARRAY[
{_NAMES}
] LOOP
    IF current_setting(name, true) IS NOT NULL THEN
        PERFORM set_config('dbtune.' || name, current_setting(name), false);
    END IF;
END LOOP;
IF current_setting('transaction_timeout', true) IS NOT NULL THEN  -- there is none before version 17
    PERFORM set_config('transaction_timeout', '0', false);
END IF;
""",
        "name text;",
    )
    return (remember, *(f"SET {name} = 0" for name in _ALWAYS))


def restore() -> str:
    """Return what sets the time limits to what they were, and lets go of the lock."""
    return do(
        f"""
IF current_setting('dbtune.lock', true) <> '' THEN
    PERFORM pg_advisory_unlock(current_setting('dbtune.lock')::bigint);
    PERFORM set_config('dbtune.lock', '', false);
    PERFORM set_config('dbtune.wanted', '', false);
END IF;
FOREACH name IN ARRAY ARRAY[
{_NAMES}
] LOOP
    IF current_setting('dbtune.' || name, true) <> '' THEN
        PERFORM set_config(name, current_setting('dbtune.' || name), false);
        PERFORM set_config('dbtune.' || name, '', false);
    END IF;
END LOOP;
""",
        "name text;",
    )


def lock_key(table: str) -> int:
    """Return the key of the advisory lock under which revisions work on a table: a signed number of 64 bits."""
    return int.from_bytes(hashlib.sha256(f"dbtune indexes {table}".encode()).digest()[:8], signed=True)


def turn(table: str, lock: str = "") -> str:
    """Return PL/pgSQL that waits until no other revision is at work on ``table`` and nobody builds an index on it.

    Polled, because a session that waits in a statement is one that a concurrent build waits for in its turn. ``lock``
    is another table whose advisory lock stands for all of its partitions.
    """
    key = lock_key(lock or table)
    return f"""
-- one session at a time; this also waits for a build that went on after its client was gone
IF coalesce(current_setting('dbtune.lock', true), '') <> '{key}' THEN
    IF NOT pg_try_advisory_lock({key}) THEN
        RAISE NOTICE 'waiting for another session that works on the indexes of this table';
        LOOP
            COMMIT;
            PERFORM pg_sleep({_PAUSE_S});
            EXIT WHEN pg_try_advisory_lock({key});
        END LOOP;
    END IF;
    PERFORM set_config('dbtune.lock', '{key}', false);
    COMMIT;  -- an error further down must not take that note away
END IF;
WHILE EXISTS (
    SELECT FROM pg_stat_progress_create_index AS build JOIN pg_locks AS held USING (pid)
     WHERE held.relation = to_regclass({quote_literal(table)}) AND held.mode = 'ShareUpdateExclusiveLock'
       AND held.granted AND pid <> pg_backend_pid()
       AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
) LOOP
    COMMIT;
    PERFORM pg_sleep({_PAUSE_S});
END LOOP;
""".strip()


def wanted(definition: Definition) -> str:
    """Return PL/pgSQL that sets ``wanted`` to what pg_get_indexdef() says of the index once it is there.

    It is made on an empty table like the real one and goes again at once: how the server writes a definition is its
    own affair, and changes with its version. While the session has its lock it is remembered: to take away what a full
    disk left must need no room on it. That is why the copy is not in the index's tablespace either.
    """
    copy = f"pg_temp.{quoted(definition.index.table)}"
    here = f"pg_temp.{quoted(definition.name)}"
    table = quote_literal(definition.table)
    known = quote_literal(f"{definition.digest} {definition.full_name} ")
    ddl = indent("\n".join(map(kept, replace(definition, tablespace=None).clauses(on=copy))), "    ")
    return f"""
IF starts_with(current_setting('dbtune.wanted', true), {known}) THEN
    wanted := substr(current_setting('dbtune.wanted'), length({known}) + 1);
ELSE
    -- how this server writes the definition: made on an empty table like the real one
    CREATE TEMPORARY TABLE {quoted(definition.index.table)} (LIKE {definition.table});
{ddl};
    wanted := regexp_replace(
        pg_get_indexdef(to_regclass({quote_literal(here)})),
        ' ON pg_temp(_[0-9]+)?[.]',
        (SELECT ' ON ' || relnamespace::regnamespace || '.'
           FROM pg_class WHERE oid = {table}::regclass)
    );
    DROP TABLE {copy};
    IF current_setting('dbtune.lock', true) <> '' THEN
        PERFORM set_config('dbtune.wanted', {known} || wanted, false);
    END IF;
END IF;
""".strip()


FOUND = "found record;\nwanted text;\nthing regclass;"
"""What :func:`look` needs declared."""


def look(definition: Definition) -> str:
    """Return PL/pgSQL that sets ``thing`` to what bears the index's name, NULL if nothing does, and ``found`` to it.

    ``found`` is one row of pg_index with: here, whether it is on the table; sound; definition; comment; needed, by a
    constraint. All are NULL where the thing is no index.
    """
    return f"""
{wanted(definition)}
thing := to_regclass({quote_literal(definition.full_name)});
SELECT indrelid = {quote_literal(definition.table)}::regclass AS here,
       indisvalid AND indisready AND indislive AS sound,
       replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition,
       obj_description(indexrelid, 'pg_class') AS comment,
       EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')) AS needed
  INTO found FROM pg_index WHERE indexrelid = thing;
""".strip()


def shared(definition: Definition) -> tuple[tuple[str, str], ...]:
    """Return the lines that most blocks about an index begin with, by the name that a file gives them."""
    return ("TURN", within(turn(definition.table))), ("LOOK", within(look(definition)))


def doomed(definition: Definition) -> str:
    """Return the name, without schema, that an index gets before it is dropped."""
    return f"dbtune_drop_{digest(definition.full_name)}"


def set_aside(definition: Definition) -> str:
    """Return PL/pgSQL that gives the index the name under which :func:`clear` drops it."""
    aside = doomed(definition)
    return f"""
IF to_regclass({quote_literal(qualified(definition.schema, aside))}) IS NULL THEN
    ALTER INDEX {definition.full_name}
    RENAME TO {quoted(aside)};
END IF;
""".strip()


def clear(definition: Definition) -> str:
    """Return the statement that drops what was set aside, if anything was."""
    return f"DROP INDEX CONCURRENTLY IF EXISTS {qualified(definition.schema, doomed(definition))}"


def mark(definition: Definition, revision: str = "") -> str:
    """Return the comment that says whose the index is: the revision that made it and what it was to be."""
    return " ".join(filter(None, (MARK, revision, definition.digest)))


def is_marked(definition: Definition) -> str:
    """Return PL/pgSQL for whether ``found`` bears such a comment for this definition, whatever the revision."""
    return f"coalesce(found.comment LIKE {quote_literal(f'{MARK} %{definition.digest}')}, false)"


def ready_to_build(definition: Definition, lock: str = "", needed: str = "") -> str:
    """Return the block that leaves the name free for a build, or taken by the very index, sound.

    A leftover of a build of this index is set aside; anything else of that name is an error and stays as it is.
    ``lock`` is the table under whose lock that is done, the index's own by default. ``needed`` is SQL for whether the
    index may be needed by the constraint that it is.
    """
    ours = f"(NOT found.needed OR {needed})" if needed else "NOT found.needed"
    partitioned = f"{definition.table} is partitioned: make this revision with --url"
    name = definition.full_name
    return do(
        f"""
{turn(definition.table, lock)}
IF (SELECT relkind FROM pg_class WHERE oid = {quote_literal(definition.table)}::regclass) = 'p' THEN
    RAISE EXCEPTION '%',
        {quote_literal(partitioned)};
ELSIF current_setting('server_version_num')::int BETWEEN 140000 AND 140003 THEN
    RAISE EXCEPTION 'PostgreSQL 14.0 to 14.3 may build a corrupt index CONCURRENTLY: update the server first';
END IF;
{look(definition)}
IF thing IS NULL OR (found.here AND found.sound AND found.definition = wanted AND {ours}) THEN
    NULL;  -- to be built, or there
ELSIF found.here AND NOT found.sound AND NOT found.needed
      AND (found.definition = wanted OR {is_marked(definition)}) THEN
    -- what a build left that was cut short
    {indent(set_aside(definition), "    ").strip()}
ELSE
{indent(foreign(name, "upgrade"), "    ")}
END IF;""",
        FOUND,
    )


def foreign(name: str, again: str) -> str:
    """Return PL/pgSQL that refuses to touch what bears the index's name and is another thing."""
    return f"""RAISE EXCEPTION '%', format(
    '%s is %s and not this revision''s "%s": it is left alone; rename or drop it, then {again} again',
    {quote_literal(name)},
    coalesce('"' || found.definition || '"', 'no index'), wanted
);"""


def no_duplicates(definition: Definition) -> str:
    """Return the block that fails where rows are not unique as a unique index wants them, with samples.

    Sent by itself, after a leftover is gone: that of a unique index rejects writes, rows or not.
    """
    index = definition.index
    keys = [_grouped(key) for key in index.keys]
    conditions = [f"({kept(index.predicate)})"] if index.predicate else []
    conditions += [f"{key} IS NOT NULL" for key in keys] if definition.nulls_distinct else []
    where = f"\n         WHERE {' AND '.join(conditions)}" if conditions else ""
    name = quote_literal(definition.full_name)
    return do(
        f"""
IF to_regclass({name}) IS NULL THEN
    SELECT string_agg(sample, ', ') INTO duplicates FROM (
        SELECT format('(%s) %s times', concat_ws(', ', {", ".join(f"({key})::text" for key in keys)}), count(*))
          FROM {definition.table}{where}
         GROUP BY {", ".join(keys)} HAVING count(*) > 1 LIMIT 3
    ) AS more_than_one (sample);
    IF duplicates IS NOT NULL THEN
        RAISE EXCEPTION '%', format('%s cannot be made: not unique are %s, and maybe more', {name}, duplicates);
    END IF;
END IF;""",
        "duplicates text;",
    )


def _grouped(key: Key) -> str:
    """Return a key as GROUP BY takes it."""
    collated = f" COLLATE {key.collation}" if key.collation else ""
    return f"{quoted(key.text) if key.is_column else f'({kept(key.text)})'}{collated}"


def assert_there(definition: Definition, comment: str | None = None) -> str:
    """Return the block that fails unless the index is there, sound, and as it is to be; ``comment`` is put on it.

    Sent in the transaction that notes the revision as done, so that neither is there without the other. A comment of
    somebody else's stays.
    """
    name = definition.full_name
    commented = ""
    if comment is not None:
        commented = f"""
IF found.comment IS NULL THEN
    COMMENT ON INDEX {name}
    IS {quote_literal(comment)};
END IF;"""
    return do(f"{assert_sound(definition)}{commented}", FOUND)


def ready_to_drop(definition: Definition, *, only_marked: bool, unless: str = "", again: str = "downgrade") -> str:
    """Return the block that sets the index aside, if it is there.

    ``only_marked`` spares an index that bears somebody else's comment; without it the definition alone decides.
    ``unless`` is PL/pgSQL that fails where the index must stay. What a constraint needs is never dropped.
    """
    return do(
        f"""
{turn(definition.table)}
{unless.strip() or NOTHING}
{look(definition)}
IF thing IS NULL THEN
    NULL;  -- gone
ELSIF {may_go(only_marked=only_marked, definition=definition)} THEN
    {indent(set_aside(definition), "    ").strip()}
ELSE
{indent(foreign(definition.full_name, again), "    ")}
END IF;""",
        FOUND,
    )


def may_go(definition: Definition, *, only_marked: bool) -> str:
    """Return PL/pgSQL for whether ``found`` is the index and may be dropped."""
    ours = is_ours(definition) if only_marked else "found.definition = wanted"
    return f"found.here AND NOT found.needed AND {ours}"


def is_ours(definition: Definition) -> str:
    """Return PL/pgSQL for whether ``found`` bears our comment, or none and is as we would make it."""
    return f"(\n    {is_marked(definition)}\n    OR (found.comment IS NULL AND found.definition = wanted)\n)"


def patiently(statements: str) -> str:
    """Return PL/pgSQL that tries statements that lock out others, giving up its place in the queue each time.

    Whoever waits for such a lock holds up all that come after: so it waits for two seconds, lets them pass, and tries
    again, for a quarter of an hour.
    """
    return f"""
DECLARE
    since timestamptz := clock_timestamp();
BEGIN
    LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '{_TURN_S}s', true);
{indent(statements.strip(), "            ")}
            EXIT;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF clock_timestamp() > since + interval '{_PATIENCE}' THEN
                RAISE;
            END IF;
        END;
        COMMIT;
        PERFORM pg_sleep({_TURN_S} * random());
    END LOOP;
END;
""".strip()


def lock_out(table: str) -> str:
    """Return PL/pgSQL, for :func:`patiently`, that locks a table and its partitions, or gives up before others suffer.

    Who has a partition and then wants the table waits for us while we wait for them. The server ends one of the two
    after deadlock_timeout, whichever looks first; half of it after we have the table, we have let go.
    """
    return f"""
LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE;
until := clock_timestamp()
    + (SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout') * interval '1 ms' / 2;
FOR part IN SELECT relid FROM pg_partition_tree({quote_literal(table)}) WHERE level > 0 ORDER BY level LOOP
    PERFORM set_config(
        'lock_timeout', greatest(1, 1000 * extract(epoch FROM until - clock_timestamp()))::int::text, true
    );
    EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', part);
END LOOP;
""".strip()


LOCKED_OUT = "part regclass;\nuntil timestamptz;"
"""What :func:`lock_out` needs declared."""


def assert_sound(definition: Definition) -> str:
    """Return PL/pgSQL that fails unless the index is there, sound, and as it is to be."""
    return f"""
{look(definition)}
IF thing IS NULL OR found.here IS NOT TRUE OR NOT found.sound OR found.definition <> wanted THEN
    RAISE EXCEPTION '%', format(
        '%s is missing, not valid, or not "%s": see what it is, then upgrade again',
        {quote_literal(definition.full_name)}, wanted
    );
END IF;""".strip()


def assert_gone(definition: Definition, again: str = "downgrade") -> str:
    """Return the block that fails while the index, or what was set aside of it, is still there."""
    aside = qualified(definition.schema, doomed(definition))
    return do(
        f"""
IF to_regclass({quote_literal(definition.full_name)}) IS NOT NULL
   OR to_regclass({quote_literal(aside)}) IS NOT NULL THEN
    RAISE EXCEPTION '%',
        {quote_literal(f"{definition.full_name} is still there: {again} again")};
END IF;"""
    )
