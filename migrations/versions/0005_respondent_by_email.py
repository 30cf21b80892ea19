"""Find a respondent by e-mail address in any case by an index.

Why: the service compares lower(email_address), which the unique index on email_address cannot serve, and read the
whole table.
Routes: GET /respondents/email; PUT /respondents/id
Queries: select-respondent-by-email-address
Undo: alembic downgrade 0004_businesses_by_respondent
"""

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

revision = "0005_respondent_by_email"
down_revision = "0004_businesses_by_respondent"
branch_labels = None
depends_on = None

SCHEMA, TABLE, INDEX = "partysvc", "respondent", "respondent_lower_email_address_idx"
DEFINITION = f"CREATE INDEX {INDEX} ON {SCHEMA}.{TABLE} USING btree (lower(email_address))"

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
            INDEX,
            TABLE,
            [sa.text("lower(email_address)")],
            schema=SCHEMA,
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.execute(f"ANALYZE {SCHEMA}.{TABLE}")  # an expression has no statistics until then
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
