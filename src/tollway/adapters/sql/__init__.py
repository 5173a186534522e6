"""The database of record: tables, migrations, configuration and ledger."""
