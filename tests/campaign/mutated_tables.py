"""Mutations of CSVs."""

import random
from collections.abc import Callable, Iterable

from mutations import VALUES, WHOLE, Mutate, Mutation, zeros


def _table(content: bytes) -> list[list[str]]:
    return [line.split(",") for line in content.decode().splitlines()]


def _csv(rows: Iterable[list[str]]) -> bytes:
    return "".join(",".join(row) + "\n" for row in rows).encode()


def _of_table(change: Callable[[random.Random, list[list[str]]], list[list[str]]]) -> Mutate:
    """A change of header and rows; a closing empty line stays as it is."""

    def mutate(rng: random.Random, content: bytes) -> bytes:
        end = b"\n" if content.endswith(b"\n\n") else b""
        rows = _table(content[: len(content) - len(end)])
        return _csv(change(rng, rows)) + end

    return mutate


def _row(rng: random.Random, rows: list[list[str]]) -> int:
    return rng.randrange(1, len(rows)) if len(rows) > 1 else 0


def _without_row(rng, rows):
    at = _row(rng, rows)
    return rows[:at] + rows[at + 1 :]


def _row_twice(rng, rows):
    at = _row(rng, rows)
    return [*rows[:at], rows[at], *rows[at:]]


def _rows_of(change):
    """A change of every row at one random column."""

    def mutate(rng, rows):
        at = rng.randrange(len(rows[0]))
        return [change(row, at) for row in rows]

    return _of_table(mutate)


def _names_swapped(rng, rows):
    head = list(rows[0])
    one, other = rng.randrange(len(head)), rng.randrange(len(head))
    head[one], head[other] = head[other], head[one]
    return [head, *rows[1:]]


def _renamed(rng, rows):
    head = list(rows[0])
    head[rng.randrange(len(head))] = rng.choice(["", "x", "loss", "seed", " ", "Unnamed: 0"])
    return [head, *rows[1:]]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cell(values: Iterable[str], numbers: bool = True) -> Mutate:
    """One cell that holds a number, or any, becomes another."""
    values = list(values)

    def mutate(rng, rows):
        spots = [
            (i, j)
            for i, row in enumerate(rows)
            if i
            for j, cell in enumerate(row)
            if _number(cell) or not numbers
        ]
        if not spots:
            return rows[:1]
        i, j = rng.choice(spots)
        rows[i] = [*rows[i][:j], rng.choice(values), *rows[i][j + 1 :]]
        return rows

    return _of_table(mutate)


def _digit(rng, rows):
    spots = [
        (i, j) for i, row in enumerate(rows) if i for j, cell in enumerate(row) if any(map(str.isdigit, cell))
    ]
    if not spots:
        return rows[:1]
    i, j = rng.choice(spots)
    cell = rows[i][j]
    at = rng.choice([k for k, one in enumerate(cell) if one.isdigit()])
    rows[i][j] = cell[:at] + rng.choice("0123456789") + cell[at + 1 :]
    return rows


CSV = (
    *WHOLE,
    Mutation("cut at a line's end", lambda rng, content: b"".join(content.splitlines(True)[: rng.randrange(1 + content.count(b"\n"))])),
    Mutation("header only", lambda rng, content: content.split(b"\n")[0] + b"\n"),
    Mutation("a row lost", _of_table(_without_row), strict=False),  # no checksum covers a CSV
    Mutation("a row twice", _of_table(_row_twice)),
    Mutation("a column lost", _rows_of(lambda row, at: row[:at] + row[at + 1 :])),
    Mutation("a column twice", _rows_of(lambda row, at: row[: at + 1] + row[at:])),
    Mutation("names swapped", _of_table(_names_swapped), strict=False),
    Mutation("a column renamed", _of_table(_renamed)),
    Mutation("NUL bytes", lambda rng, content: zeros(rng, content)),
    Mutation("no number", _cell(["nan", "NaN", "1e999", "-1e999", "Infinity", "abc", "1,5", "0x10", "1_0", "True", "--"])),
    Mutation("infinity", _cell(["inf", "-inf"]), strict=False),
    Mutation("an empty cell", _cell([""]), strict=False),  # a value that is missing
    Mutation("a quote", _cell(['"', '"a', 'a"b'])),
    Mutation("a control character", _cell(["\x1b[31m", "\x00", "\u2028", "\x7f"]), strict=False),  # in a name
    Mutation("a very long cell", _cell(["9" * 5000, "x" * 200_000]), strict=False),  # a name may be long
    Mutation("another name", _cell(["x", "", "*", "iid", "<b>", "a|b", '"', "\x1b[31m"], numbers=False), strict=False),
    Mutation("another digit", _of_table(_digit), strict=False),
    *VALUES,
)  # fmt: skip
