"""Stack Overflow's SQLite file as TensorFlow Federated writes it, of a few sentences."""

import sqlite3
from collections import Counter
from contextlib import closing

from proto_examples import example

SAID = {  # client -> sentences; nan and null are words that CSVs may trip over
    "train": {
        "31": ["the cat sat on the mat .", "nan is the null word", "the end ."],
        "4": ["a cat is a cat .", "the dog sat ."],
        "205": ["the null is nan , the cat is the cat .", "\"quoted\" , 'words' , the mat"],
        "7": ["too short"],
    },
    "test": {"31": ["the dog is on the mat .", "unheard of words ."], "99": ["a cat , a dog , a mouse ."]},
    "heldout": {"10": ["the mouse sat on the dog ."]},
}
TABLES = (
    "CREATE TABLE examples (split_name TEXT NOT NULL, client_id TEXT NOT NULL, serialized_example_proto BLOB NOT NULL);"
    "CREATE TABLE client_metadata (client_id TEXT NOT NULL, split_name TEXT NOT NULL, num_examples INTEGER NOT NULL);"
)


def post(sentence: str) -> bytes:
    """An example as the file has it, with features that are not wanted around the one that is."""
    return example({"creation_date": [b"2010-01-08"], "tokens": [sentence.encode()], "type": [b"answer"]})


def write_sqlite(path, said=None, index=False, mixed=False):
    """mixed: all clients' first sentences, then all second ones, ...; else client by client."""
    rows = [
        (number, split, client, post(sentence))
        for split, clients in (said or SAID).items()
        for client, sentences in clients.items()
        for number, sentence in enumerate(sentences)
    ]
    if mixed:
        rows.sort(key=lambda row: row[0])
    rows = [row[1:] for row in rows]
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(TABLES)
        database.executemany("INSERT INTO examples VALUES (?, ?, ?)", rows)
        counts = Counter((client, split) for split, client, _ in rows)
        database.executemany(
            "INSERT INTO client_metadata VALUES (?, ?, ?)", [(*key, count) for key, count in counts.items()]
        )
        if index:
            database.execute("CREATE INDEX by_client ON examples (client_id)")
