"""Find the attribute versions of a sample by an index.

Why: linking a sample to its collection exercise updates the versions of that sample, and read the whole table for
them, however few.
Routes: PUT /businesses/sample/link
Queries: update-business-attributes-by-sample-summary-id

Writes go on meanwhile. If it was stopped, at any point, upgrade again: what is half done is found.
Undo: alembic downgrade 0002_attributes_by_business
Made by dbtune 0.1.0; needs Alembic only.
"""

from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import chain

from alembic import context, op
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

ADVICE = "-- Apply with psql -v ON_ERROR_STOP=1, or what follows a failed statement is tried all the same."

PREPARE = (
    """\
DO $dbtune$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'lock_timeout',
        'statement_timeout',
        'idle_in_transaction_session_timeout',
        'transaction_timeout'
    ] LOOP
        IF current_setting(name, true) IS NOT NULL THEN
            PERFORM set_config('dbtune.' || name, current_setting(name), false);
        END IF;
    END LOOP;
    IF current_setting('transaction_timeout', true) IS NOT NULL THEN  -- there is none before version 17
        PERFORM set_config('transaction_timeout', '0', false);
    END IF;
END
$dbtune$""",
    "SET lock_timeout = 0",
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)

RESTORE = (
    """\
DO $dbtune$
DECLARE
    name text;
BEGIN
    IF current_setting('dbtune.lock', true) <> '' THEN
        PERFORM pg_advisory_unlock(current_setting('dbtune.lock')::bigint);
        PERFORM set_config('dbtune.lock', '', false);
    END IF;
    FOREACH name IN ARRAY ARRAY[
        'lock_timeout',
        'statement_timeout',
        'idle_in_transaction_session_timeout',
        'transaction_timeout'
    ] LOOP
        IF current_setting('dbtune.' || name, true) <> '' THEN
            PERFORM set_config(name, current_setting('dbtune.' || name), false);
            PERFORM set_config('dbtune.' || name, '', false);
        END IF;
    END LOOP;
END
$dbtune$""",
)

TURN = """\
    -- one session at a time; this also waits for a build that went on after its client was gone
    IF coalesce(current_setting('dbtune.lock', true), '') <> '7765050206758574968' THEN
        IF NOT pg_try_advisory_lock(7765050206758574968) THEN
            RAISE NOTICE 'waiting for another session that works on the indexes of this table';
            LOOP
                COMMIT;
                PERFORM pg_sleep(0.5);
                EXIT WHEN pg_try_advisory_lock(7765050206758574968);
            END LOOP;
        END IF;
        PERFORM set_config('dbtune.lock', '7765050206758574968', false);
        COMMIT;  -- an error further down must not take that note away
    END IF;
    WHILE EXISTS (
        SELECT FROM pg_stat_progress_create_index AS build JOIN pg_locks AS held USING (pid)
         WHERE held.relation = to_regclass('partysvc.business_attributes') AND held.mode = 'ShareUpdateExclusiveLock'
           AND held.granted AND pid <> pg_backend_pid()
           AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) LOOP
        COMMIT;
        PERFORM pg_sleep(0.5);
    END LOOP;
"""

LOOK = """\
    -- how this server writes the definition: made on an empty table like the real one
    CREATE TEMPORARY TABLE business_attributes (LIKE partysvc.business_attributes);
    CREATE INDEX business_attributes_sample_summary_id_idx
    ON pg_temp.business_attributes USING btree (sample_summary_id);
    wanted := regexp_replace(
        pg_get_indexdef(to_regclass('pg_temp.business_attributes_sample_summary_id_idx')),
        ' ON pg_temp(_[0-9]+)?[.]',
        (SELECT ' ON ' || relnamespace::regnamespace || '.'
           FROM pg_class WHERE oid = 'partysvc.business_attributes'::regclass)
    );
    DROP TABLE pg_temp.business_attributes;
    thing := to_regclass('partysvc.business_attributes_sample_summary_id_idx');
    SELECT indrelid = 'partysvc.business_attributes'::regclass AS here,
           indisvalid AND indisready AND indislive AS sound,
           replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition,
           obj_description(indexrelid, 'pg_class') AS comment,
           EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')) AS needed
      INTO found FROM pg_index WHERE indexrelid = thing;
"""

UPGRADE = (
    """\
DO $dbtune$
DECLARE
    found record;
    wanted text;
    thing regclass;
BEGIN
"""
    + TURN
    + """\
    IF (SELECT relkind FROM pg_class WHERE oid = 'partysvc.business_attributes'::regclass) = 'p' THEN
        RAISE EXCEPTION '%',
            'partysvc.business_attributes is partitioned: make this revision with --url';
    ELSIF current_setting('server_version_num')::int BETWEEN 140000 AND 140003 THEN
        RAISE EXCEPTION 'PostgreSQL 14.0 to 14.3 may build a corrupt index CONCURRENTLY: update the server first';
    END IF;
"""
    + LOOK
    + """\
    IF thing IS NULL OR (found.here AND found.sound AND found.definition = wanted AND NOT found.needed) THEN
        NULL;  -- to be built, or there
    ELSIF found.here AND NOT found.sound AND NOT found.needed
          AND (found.definition = wanted OR coalesce(found.comment LIKE 'dbtune %86307e3a90cc', false)) THEN
        -- what a build left that was cut short
        IF to_regclass('partysvc.dbtune_drop_003c4e2374e3') IS NULL THEN
            ALTER INDEX partysvc.business_attributes_sample_summary_id_idx
            RENAME TO dbtune_drop_003c4e2374e3;
        END IF;
    ELSE
        RAISE EXCEPTION '%', format(
            '%s is %s and not this revision''s "%s": it is left alone; rename or drop it, then upgrade again',
            'partysvc.business_attributes_sample_summary_id_idx',
            coalesce('"' || found.definition || '"', 'no index'), wanted
        );
    END IF;
END
$dbtune$""",
    "DROP INDEX CONCURRENTLY IF EXISTS partysvc.dbtune_drop_003c4e2374e3",
    """\
CREATE INDEX CONCURRENTLY IF NOT EXISTS business_attributes_sample_summary_id_idx
ON partysvc.business_attributes USING btree (sample_summary_id)""",
)

UPGRADE_CHECK = (
    """\
DO $dbtune$
DECLARE
    found record;
    wanted text;
    thing regclass;
BEGIN
"""
    + LOOK
    + """\
    IF thing IS NULL OR found.here IS NOT TRUE OR NOT found.sound OR found.definition <> wanted THEN
        RAISE EXCEPTION '%', format(
            '%s is missing, not valid, or not "%s": see what it is, then upgrade again',
            'partysvc.business_attributes_sample_summary_id_idx', wanted
        );
    END IF;
    IF found.comment IS NULL THEN
        COMMENT ON INDEX partysvc.business_attributes_sample_summary_id_idx
        IS 'dbtune 0003_attributes_by_sample 86307e3a90cc';
    END IF;
END
$dbtune$""",
)

DOWNGRADE = (
    """\
DO $dbtune$
DECLARE
    found record;
    wanted text;
    thing regclass;
BEGIN
"""
    + TURN
    + LOOK
    + """\
    IF thing IS NULL THEN
        NULL;  -- gone
    ELSIF found.here AND NOT found.needed AND (
        coalesce(found.comment LIKE 'dbtune %86307e3a90cc', false)
        OR (found.comment IS NULL AND found.definition = wanted)
    ) THEN
        IF to_regclass('partysvc.dbtune_drop_003c4e2374e3') IS NULL THEN
            ALTER INDEX partysvc.business_attributes_sample_summary_id_idx
            RENAME TO dbtune_drop_003c4e2374e3;
        END IF;
    ELSE
        RAISE EXCEPTION '%', format(
            '%s is %s and not this revision''s "%s": it is left alone; rename or drop it, then downgrade again',
            'partysvc.business_attributes_sample_summary_id_idx',
            coalesce('"' || found.definition || '"', 'no index'), wanted
        );
    END IF;
END
$dbtune$""",
    "DROP INDEX CONCURRENTLY IF EXISTS partysvc.dbtune_drop_003c4e2374e3",
)

DOWNGRADE_CHECK = (
    """\
DO $dbtune$
BEGIN
    IF to_regclass('partysvc.business_attributes_sample_summary_id_idx') IS NOT NULL
       OR to_regclass('partysvc.dbtune_drop_003c4e2374e3') IS NOT NULL THEN
        RAISE EXCEPTION '%',
            'partysvc.business_attributes_sample_summary_id_idx is still there: downgrade again';
    END IF;
END
$dbtune$""",
)


def run(*statements: str) -> None:
    """Send each as it stands, or print it: nobody looks for parameters in it."""
    for statement in statements:
        if context.is_offline_mode():
            op.get_context().impl.static_output(f"{statement};\n")
            continue
        try:
            op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})
        except DBAPIError as error:
            if state(error) == "P0001":  # raised by a block above, which says it all
                text = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig)
                raise CommandError(text) from error
            raise


def state(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or ""


def outside(statements: Iterable[str], cleanup: tuple[str, ...] = ()) -> None:
    """Run the statements outside of transactions and without time limits, which are put back in any case."""
    if context.is_offline_mode():
        op.get_context().impl.static_output(ADVICE)
    with ExitStack() as stack:
        try:
            stack.enter_context(op.get_context().autocommit_block())
        except AssertionError:  # all that Alembic says of it
            raise CommandError("env.py began a transaction itself; an index is built outside of any") from None
        try:
            for statement in chain(PREPARE, statements):
                run(statement)
        except BaseException as error:
            with suppress(Exception):  # the first error counts
                if state(error)[:2] in ("23", "53"):  # rows not unique, or no room: the half-built index is harmful
                    run(*cleanup)
            with suppress(Exception):
                run(*RESTORE)
            raise
        run(*RESTORE)


revision = "0003_attributes_by_sample"
down_revision = "0002_attributes_by_business"
branch_labels = None
depends_on = None


def upgrade() -> None:
    outside(UPGRADE, cleanup=UPGRADE[:2])
    run(*UPGRADE_CHECK)  # in the transaction that notes this revision as done


def downgrade() -> None:
    outside(DOWNGRADE)
    run(*DOWNGRADE_CHECK)  # in the transaction that notes this revision as done
