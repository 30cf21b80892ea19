"""Tables and enums of January 2019, indexed by nothing but primary keys and unique constraints.

Undo: alembic downgrade base (drops the tables with all their rows; the schema stays, for Alembic's version table)
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001_january_2019"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "partysvc"


def enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, schema=SCHEMA)


def upgrade() -> None:
    op.create_table(
        "business",
        sa.Column("party_uuid", sa.Uuid(), nullable=False),
        sa.Column("business_ref", sa.Text(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("party_uuid", name="business_pkey"),
        sa.UniqueConstraint("business_ref", name="business_business_ref_key"),
        schema=SCHEMA,
    )
    op.create_table(
        "business_attributes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("business_id", sa.Uuid(), nullable=False),
        sa.Column("sample_summary_id", sa.Text(), nullable=True),
        sa.Column("collection_exercise", sa.Text(), nullable=True),
        sa.Column("attributes", JSONB(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="business_attributes_pkey"),
        sa.ForeignKeyConstraint(
            ["business_id"], ["partysvc.business.party_uuid"], name="business_attributes_business_id_fkey"
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "respondent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("party_uuid", sa.Uuid(), nullable=False),
        sa.Column("status", enum("respondentstatus", "CREATED", "ACTIVE", "SUSPENDED"), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("pending_email_address", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("telephone", sa.Text(), nullable=True),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="respondent_pkey"),
        sa.UniqueConstraint("party_uuid", name="respondent_party_uuid_key"),
        sa.UniqueConstraint("email_address", name="respondent_email_address_key"),
        sa.UniqueConstraint("pending_email_address", name="respondent_pending_email_address_key"),
        schema=SCHEMA,
    )
    op.create_table(
        "business_respondent",
        sa.Column("business_id", sa.Uuid(), nullable=False),
        sa.Column("respondent_id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            enum("businessrespondentstatus", "ACTIVE", "INACTIVE", "SUSPENDED", "ENDED"),
            nullable=False,
        ),
        sa.Column("effective_from", sa.DateTime(), nullable=False),
        sa.Column("effective_to", sa.DateTime(), nullable=True),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("business_id", "respondent_id", name="business_respondent_pkey"),
        sa.ForeignKeyConstraint(
            ["business_id"], ["partysvc.business.party_uuid"], name="business_respondent_business_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["respondent_id"], ["partysvc.respondent.id"], name="business_respondent_respondent_id_fkey"
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "enrolment",
        sa.Column("business_id", sa.Uuid(), nullable=False),
        sa.Column("respondent_id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Text(), nullable=False),
        sa.Column("status", enum("enrolmentstatus", "PENDING", "ENABLED", "DISABLED", "SUSPENDED"), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("business_id", "respondent_id", "survey_id", name="enrolment_pkey"),
        sa.ForeignKeyConstraint(
            ["business_id", "respondent_id"],
            ["partysvc.business_respondent.business_id", "partysvc.business_respondent.respondent_id"],
            name="enrolment_business_id_respondent_id_fkey",
        ),
        schema=SCHEMA,
    )
    op.create_table(
        "pending_enrolment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("respondent_id", sa.Integer(), nullable=False),
        sa.Column("business_id", sa.Uuid(), nullable=False),
        sa.Column("survey_id", sa.Uuid(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pending_enrolment_pkey"),
        sa.ForeignKeyConstraint(
            ["respondent_id"], ["partysvc.respondent.id"], name="pending_enrolment_respondent_id_fkey"
        ),
        # the same once more, as the service had it
        sa.ForeignKeyConstraint(
            ["respondent_id"], ["partysvc.respondent.id"], name="pending_enrolment_respondent_id_fkey1"
        ),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in (
        "pending_enrolment",
        "enrolment",
        "business_respondent",
        "respondent",
        "business_attributes",
        "business",
    ):
        op.drop_table(table, schema=SCHEMA)
    for name in ("enrolmentstatus", "businessrespondentstatus", "respondentstatus"):
        op.execute(f"DROP TYPE {SCHEMA}.{name}")
