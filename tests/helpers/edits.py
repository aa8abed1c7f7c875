"""Edits for the tables of what they rerun: of a study's values or its text, of code, of whole files."""

import ast
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml
from clone import SHORT

from fedscape.study.files import parsed_yaml
from fedscape.study.jobs import Job

EVERY = int(os.environ.get("FEDSCAPE_ASK_SNAKEMAKE_EVERY", "5"))
Change = Callable[[str], str]
Jobs = dict[str, set[str]]
"""Rule -> first outputs of its jobs, below their study's folder, as `Clone.pending` has them."""


def swap(*pairs: str) -> Change:
    """Each old text for a new one, once: old, new, old, new, ...; an old one must be there."""

    def change(text: str) -> str:
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            assert old in text, f"{old!r} is no longer there: mend this test"
            text = text.replace(old, new, 1)
        return text

    return change


def put(values: Mapping[str, object]) -> Change:
    """Other values of keys that a YAML text has: path -> value, `claims/0/expect` for the first claim's."""

    def change(content: object) -> None:
        for path, value in values.items():
            parent, key = _parent(content, path)
            assert parent[key] != value, f"{path} is {value!r} already: mend this test"
            parent[key] = value

    return _of_content(change)


def add(values: Mapping[str, object]) -> Change:
    """Keys that a YAML text has not, or a list's next entry: path -> value."""

    def change(content: object) -> None:
        for path, value in values.items():
            parent, key = _parent(content, path)
            if isinstance(parent, list):
                assert key == len(parent), f"{path} is not the next entry: mend this test"
                parent.append(value)
            else:
                assert key not in parent, f"{path} is there already: mend this test"
                parent[key] = value

    return _of_content(change)


def _parent(content: Any, path: str) -> tuple[Any, Any]:
    """What holds the value at a path, and its key there."""
    *above, last = path.split("/")
    for key in above:
        content = content[int(key) if isinstance(content, list) else key]
    return content, int(last) if isinstance(content, list) else last


def _of_content(change: Callable[[object], None]) -> Change:
    """A change of what a YAML text says, however it is laid out."""

    def change_text(text: str) -> str:
        content = parsed_yaml(in_another_layout(text), "edited YAML")  # what an anchor shared is apart
        change(content)
        return dumped(content)

    return change_text


def dumped(content: object) -> str:
    """YAML in blocks, keys in the order in which they are, no comment, no anchor."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    return yaml.dump(content, Dumper=Plain, sort_keys=False, allow_unicode=True)


def in_another_layout(text: str) -> str:
    """The same YAML in other words: what every table of edits must survive."""
    return dumped(parsed_yaml(text, "YAML"))


def renamed(old: str, new: str) -> Change:
    """A name that stands by itself, wherever it does."""
    return lambda text: re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])", new, text)


def more_code(text: str) -> str:
    """A statement more, below the rest."""
    return f"{text}\n\n_EDITED = True\n"


def new_file(content: str) -> Change:
    """A file that was not there."""

    def change(text: str) -> str:
        assert not text, "the file is there already: mend this test"
        return content

    return change


def reformatted(text: str) -> str:
    """Other line breaks, quotes and brackets, no comment, no docstring, one name an import, in another order."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, None)
            if isinstance(statements, list):
                kept = [one for one in statements if not _is_text(one)]
                setattr(node, block, [*_imports_reversed(kept)] or [ast.Pass()] * bool(statements))
    return ast.unparse(ast.fix_missing_locations(tree))


def _imports_reversed(statements: list[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements, each row of imports split up and turned round."""
    waiting: list[ast.stmt] = []
    for statement in statements:
        if isinstance(statement, ast.Import):
            waiting[:0] = [ast.Import([one]) for one in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            waiting[:0] = [
                ast.ImportFrom(statement.module, [one], statement.level) for one in statement.names
            ]
        else:
            yield from waiting
            waiting = []
            yield statement
    yield from waiting


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def asks_snakemake(rows: Iterable[str], row: str) -> bool:
    """Whether Snakemake itself is asked about a row of a table, which takes seconds: of some, or of all.

    The others are predicted from what it compares (`Clone.predicted`).
    """
    return [*rows].index(row) % EVERY == 0


def below(jobs: Iterable[Job], touched: Mapping[str, str]) -> Jobs:
    """Jobs that must be made again, and all that read what these write.

    touched: rule -> regular expression found in the first outputs of its jobs that an edit reaches by itself.
    jobs: each after those whose files it reads.
    """
    made: set[str] = set()
    found: Jobs = {}
    hit = dict.fromkeys(touched, False)
    for job in jobs:
        name = SHORT.sub("", job.outputs[0])
        itself = job.rule in touched and bool(re.search(touched[job.rule], name))
        if itself:
            hit[job.rule] = True
        if itself or made.intersection(job.inputs):
            made.update(job.outputs)
            found.setdefault(job.rule, set()).add(name)
    assert all(hit.values()), f"no such jobs, mend this test: {hit}"
    return found
