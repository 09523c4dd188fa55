"""Django's backend for SQLite, whose transactions queue up within a process."""
