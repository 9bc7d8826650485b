"""The serving database: tables, migrations, publish, rollback."""
