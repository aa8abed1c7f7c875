"""The tables of plug-ins' contracts in CONTRIBUTING.md, written from `contracts.py`.

`python -m fedscape.study.contracts_page` writes them anew between their marks; a test compares.
"""

import json
import re
from pathlib import Path

from fedscape.files import write_text
from fedscape.study.catalog import PACKAGES
from fedscape.study.contracts import CONTRACTS

GUIDE = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"
MARKED = re.compile(r"(<!-- contract of (\w+): begin -->\n).*?(<!-- contract of \w+: end -->)", re.DOTALL)


def contract_table(role: str) -> str:
    """What a plug-in of a role may hold, as Markdown; what it must hold is bold."""
    contract = CONTRACTS[role]
    rows = [
        (f"{name}({one.parameters})", one.required, one.meaning) for name, one in contract.functions.items()
    ]
    rows += [
        (f"{name} = {_spelled(one.example)}", one.required, one.meaning)
        for name, one in contract.constants.items()
    ]
    lines = [
        f"| {f'**`{code}`**' if required else f'`{code}`'} | {meaning} |" for code, required, meaning in rows
    ]
    folder = f"src/fedscape/{PACKAGES[role].replace('.', '/')}/"
    head = f"| {contract.called.partition(' ')[2]}, in `{folder}` | what for |"
    return "\n".join([head, "|---|---|", *lines])


def with_contracts(text: str) -> str:
    """A guide with the parts between its marks replaced."""
    return MARKED.sub(lambda found: f"{found[1]}{contract_table(found[2])}\n{found[3]}", text)


def _spelled(value: object) -> str:
    """A Python value with the quotation marks of the house."""
    if isinstance(value, tuple):
        inner = ", ".join(map(_spelled, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return json.dumps(value) if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    write_text(GUIDE, with_contracts(GUIDE.read_text(encoding="utf-8")))
