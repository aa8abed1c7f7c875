"""The sqlite files of TensorFlow Federated's data sets: clients, and their serialised examples."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from fedscape.errors import FedscapeError

COLUMNS = {
    "examples": ("split_name", "client_id", "serialized_example_proto"),
    "client_metadata": ("client_id", "split_name"),
}
"""The columns that are read of each table."""
KIND = "SELECT type FROM sqlite_master WHERE name = ? AND sql NOT LIKE 'CREATE VIRTUAL%'"


@contextmanager
def opened(path: Path, where: str) -> Iterator[sqlite3.Connection]:
    """The database, opened without writing to it or beside it.

    Raises FedscapeError for a file that is no database, lacks a table or a column, or is cut off, even if
    that shows only while it is read.
    """
    try:
        address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.execute("PRAGMA temp_store = MEMORY")
            database.execute("PRAGMA trusted_schema = OFF")  # of a stranger: its views may call no function
            for table, columns in COLUMNS.items():
                present = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                # A view may have rows without an end.
                if not present or database.execute(KIND, (table,)).fetchone() != ("table",):
                    raise FedscapeError(f"{where}: has no table {table}; is it TensorFlow Federated's file?")
                for column in columns:
                    if column not in present:
                        raise FedscapeError(f"{where}: {table}: has no column {column}")
            yield database
    except sqlite3.Error as error:
        raise FedscapeError(f"{where}: not a whole sqlite file ({error}); get and unpack it again") from error


def clients_of(database: sqlite3.Connection, split: str, where: str) -> list[str]:
    """The clients of a split, sorted; a split without any is refused."""
    query = "SELECT DISTINCT client_id FROM client_metadata WHERE split_name = ?"
    clients = sorted(str(client) for (client,) in database.execute(query, (split,)))
    if not clients:
        splits = database.execute("SELECT DISTINCT split_name FROM client_metadata ORDER BY 1")
        present = ", ".join(str(name) for (name,) in splits) or "none"
        raise FedscapeError(
            f"{where}: client_metadata: no client has split_name {split}; there are {present}"
        )
    return clients


def rows_of(database: sqlite3.Connection, split: str, clients: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Client and serialised example of each of the clients' rows, one at a time.

    Those of a client come in the order of the file. Where the file has an index of clients sqlite jumps from
    one to the next; without one it reads all rows once.
    """
    database.execute("CREATE TEMP TABLE drawn (client_id TEXT PRIMARY KEY) WITHOUT ROWID")
    database.executemany("INSERT INTO drawn VALUES (?)", ((client,) for client in clients))
    query = (
        "SELECT client_id, serialized_example_proto FROM examples "
        "WHERE split_name = ? AND client_id IN (SELECT client_id FROM drawn)"
    )
    for client, example in database.execute(query, (split,)):
        yield str(client), example
