"""The tables of plug-ins' contracts in CONTRIBUTING.md, written from `contracts.py`.

`python -m fedscape.study.contracts_page` writes them anew between their marks; a test compares.
"""

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
        (f"{name}({', '.join(function.parameters)})", "", function.meaning, function.required)
        for name, function in contract.functions.items()
    ]
    rows += [
        (f"Settings.{name}({', '.join(method.parameters)})", "", method.meaning, method.required)
        for name, method in contract.settings_methods.items()
    ]
    rows += [
        (
            _quoted(f"{name} = {constant.example!r}"),
            f"`{_quoted(constant.allowed)}`",
            constant.meaning,
            constant.required,
        )
        for name, constant in contract.constants.items()
    ]
    folder = f"src/fedscape/{PACKAGES[role].replace('.', '/')}/"
    return "\n".join(
        [
            f"| {contract.called.partition(' ')[2]}, in `{folder}` | may be | what for |",
            "|---|---|---|",
            *(
                f"| {f'**`{code}`**' if required else f'`{code}`'} | {words} | {meaning} |"
                for code, words, meaning, required in rows
            ),
        ]
    )


def with_contracts(text: str) -> str:
    """A guide with the parts between its marks replaced."""
    return MARKED.sub(lambda part: f"{part[1]}{contract_table(part[2])}\n{part[3]}", text)


def _quoted(code: str) -> str:
    """Code with the quotation marks of the house, and as a cell of a table may hold it."""
    return code.replace("'", '"').replace("|", "\\|")


if __name__ == "__main__":
    write_text(GUIDE, with_contracts(GUIDE.read_text(encoding="utf-8")))
