"""Where the emulated systems keep their records: SQLite, in memory or in a file."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

Record = dict[str, Any]


class Table:
    """Records of one kind by key, in the order in which they were created."""

    def __init__(self, connection: sqlite3.Connection, kind: str) -> None:
        self._connection = connection
        self._kind = kind

    def get(self, key: str) -> Record | None:
        """Return a copy of a record, or None."""
        row = self._connection.execute(
            "SELECT document FROM records WHERE kind = ? AND key = ?", (self._kind, key)
        ).fetchone()
        return cast("Record", json.loads(row[0])) if row else None

    def put(self, key: str, record: Record) -> None:
        """Create or replace a record; one that is replaced keeps its place in the order."""
        self._connection.execute(
            "INSERT INTO records (kind, key, document) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, key) DO UPDATE SET document = excluded.document",
            (self._kind, key, json.dumps(record)),
        )

    def delete(self, key: str) -> bool:
        """Delete a record; False if there was none."""
        cursor = self._connection.execute("DELETE FROM records WHERE kind = ? AND key = ?", (self._kind, key))
        return cursor.rowcount > 0

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __iter__(self) -> Iterator[Record]:
        rows = self._connection.execute(
            "SELECT document FROM records WHERE kind = ? ORDER BY rowid", (self._kind,)
        ).fetchall()
        return (json.loads(row[0]) for row in rows)

    def __len__(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM records WHERE kind = ?", (self._kind,)).fetchone()
        return int(count)


class Store:
    """All tables, in one SQLite database; each write is durable when the call that made it is answered."""

    def __init__(self, file: Path | None = None) -> None:
        """Open `file`, or begin in memory; raises `OSError` for a file that cannot be a database."""
        try:
            self._connection = sqlite3.connect(file or ":memory:", isolation_level=None)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS records "
                "(kind TEXT, key TEXT, document TEXT NOT NULL, PRIMARY KEY (kind, key))"
            )
            self._connection.execute("SELECT kind, key, document FROM records LIMIT 1")
        except sqlite3.Error as error:
            raise OSError(f"{file}: {error}") from None
        self.representatives = Table(self._connection, "representative")
        self.accounts = Table(self._connection, "account")
        self.documents = Table(self._connection, "document")
        self.departments = Table(self._connection, "department")
        self.assignees = Table(self._connection, "assignee")
        self.users = Table(self._connection, "user")
        self.agencies = Table(self._connection, "agency")
        self.suppliers = Table(self._connection, "supplier")
        self.reps = Table(self._connection, "rep")
        self.managers = Table(self._connection, "manager")

    @property
    def seeded(self) -> bool:
        """Whether there is anything in it."""
        return len(self.departments) > 0

    def begin(self) -> None:
        """Begin a transaction, for many writes at once."""
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        """End the transaction."""
        self._connection.execute("COMMIT")

    def copy_from(self, other: "Store") -> None:
        """Become what `other` is."""
        other._connection.backup(self._connection)  # noqa: SLF001  # another of the same kind

    def close(self) -> None:
        """Close the database."""
        self._connection.close()
