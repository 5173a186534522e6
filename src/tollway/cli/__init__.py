"""The command line and the processes: one module per command group or process. No rules here."""
