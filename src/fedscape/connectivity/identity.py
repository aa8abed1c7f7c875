"""How rows about two models of a study name the second one."""

from collections.abc import Mapping

OTHER_END = ("partition", "init", "method", "seed")
"""Identity columns that the two ends may differ in; data set and model are the same."""


def other_end(run: Mapping[str, object]) -> dict[str, object]:
    """The columns `to_...` that name the second end, from its identity."""
    return {f"to_{column}": run[column] for column in OTHER_END}
