"""Find the attribute versions of a sample by an index.

Why: linking a sample to its collection exercise updates the versions of that sample, and read the whole table for
them, however few.
Routes: PUT /businesses/sample/link
Queries: update-business-attributes-by-sample-summary-id
Undo: alembic downgrade 0002_attributes_by_business
"""

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

revision = "0003_attributes_by_sample"
down_revision = "0002_attributes_by_business"
branch_labels = None
depends_on = None

SCHEMA, TABLE, INDEX = "partysvc", "business_attributes", "business_attributes_sample_summary_id_idx"
DEFINITION = f"CREATE INDEX {INDEX} ON {SCHEMA}.{TABLE} USING btree (sample_summary_id)"

# A build of this index that did not end, and whether somebody is at it: then the table is locked for it.
UNFINISHED = f"""
    SELECT EXISTS (
        SELECT FROM pg_stat_progress_create_index AS build JOIN pg_locks AS lock USING (pid)
         WHERE lock.relation = indrelid AND lock.mode = 'ShareUpdateExclusiveLock' AND lock.granted)
      FROM pg_index
     WHERE indexrelid = to_regclass('{SCHEMA}.{INDEX}') AND indrelid = to_regclass('{SCHEMA}.{TABLE}')
       AND NOT indisvalid
"""

CHECK = f"""
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index
         WHERE indexrelid = to_regclass('{SCHEMA}.{INDEX}') AND pg_get_indexdef(indexrelid) = '{DEFINITION}'
           AND indisvalid AND indisready AND indislive
    ) THEN
        RAISE EXCEPTION '{SCHEMA}.{INDEX} is missing, not valid, or not "{DEFINITION}": drop it and upgrade again';
    END IF;
END
$$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # the build waits for old transactions; cut short, it leaves an INVALID index
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        if not context.is_offline_mode():
            being_built = op.get_bind().scalar(sa.text(UNFINISHED))
            if being_built:
                raise CommandError(f"another session is building {SCHEMA}.{INDEX}; upgrade again when that is done")
            if being_built is not None:
                op.drop_index(INDEX, TABLE, schema=SCHEMA, postgresql_concurrently=True, if_exists=True)
        op.create_index(
            INDEX, TABLE, ["sample_summary_id"], schema=SCHEMA, postgresql_concurrently=True, if_not_exists=True
        )
        op.execute("RESET statement_timeout")
        op.execute("RESET lock_timeout")
    op.execute(CHECK)  # in the transaction that notes this revision as done


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("SET statement_timeout = 0")
        op.drop_index(INDEX, TABLE, schema=SCHEMA, postgresql_concurrently=True, if_exists=True)
        op.execute("RESET statement_timeout")
        op.execute("RESET lock_timeout")
