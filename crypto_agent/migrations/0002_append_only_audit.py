"""The audit log's head, and the triggers that let its entries only ever be added."""

from django.db import migrations

SQLITE = [
    """
    CREATE TRIGGER crypto_agent_audit_no_update BEFORE UPDATE ON crypto_agent_auditentry
    BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END
    """,
    """
    CREATE TRIGGER crypto_agent_audit_no_delete BEFORE DELETE ON crypto_agent_auditentry
    BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END
    """,
]
SQLITE_BACK = [
    "DROP TRIGGER crypto_agent_audit_no_update",
    "DROP TRIGGER crypto_agent_audit_no_delete",
]
POSTGRESQL = [
    """
    CREATE FUNCTION crypto_agent_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit entries are only ever added'; END $$
    """,
    """
    CREATE TRIGGER crypto_agent_audit_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON crypto_agent_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION crypto_agent_audit_append_only()
    """,
]
POSTGRESQL_BACK = [
    "DROP TRIGGER crypto_agent_audit_append_only ON crypto_agent_auditentry",
    "DROP FUNCTION crypto_agent_audit_append_only()",
]


def add(apps, schema_editor):
    apps.get_model("crypto_agent", "AuditHead").objects.create(pk=1, sequence=0, entry_hash=bytes(32))
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


def remove(apps, schema_editor):
    for statement in SQLITE_BACK if schema_editor.connection.vendor == "sqlite" else POSTGRESQL_BACK:
        schema_editor.execute(statement)
    apps.get_model("crypto_agent", "AuditHead").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("crypto_agent", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
