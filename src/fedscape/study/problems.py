"""What is wrong with a study file, gathered so that a user sees all of it at once."""

import re
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar, cast

from fedscape.errors import FedscapeError

Arguments = ParamSpec("Arguments")
Value = TypeVar("Value")

MOST = 20
"""Errors that are shown; of more there is the number."""
_SCALE = re.compile(r" \(scale [a-z]+\)")  # what is wrong at every scale alike is said once


class FedscapeErrors(FedscapeError):
    """Several errors: the first is the message, `errors` has all of them."""

    def __init__(self, errors: Iterable[FedscapeError]):
        firsts: dict[str, FedscapeError] = {}
        for error in errors:
            firsts.setdefault(_SCALE.sub("", str(error)), error)
        self.errors = list(firsts.values())
        super().__init__(str(self.errors[0]))


class Problems:
    """Errors of parts that are checked one after the other; `tell` raises them together."""

    def __init__(self) -> None:
        self._errors: list[FedscapeError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    def add(self, message: str) -> None:
        """Keep an error of this message."""
        self._errors.append(FedscapeError(message))

    def of(
        self, check: Callable[Arguments, Value], *arguments: Arguments.args, **keywords: Arguments.kwargs
    ) -> Value:
        """What a call returns. Its error is kept: then there is no value, and `tell` comes before any use."""
        try:
            return check(*arguments, **keywords)
        except FedscapeErrors as several:
            self._errors += several.errors
        except FedscapeError as error:
            self._errors.append(error)
        return cast(Value, None)

    def tell(self) -> None:
        """Raise what was kept, if anything was."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise FedscapeErrors(self._errors)


def told(error: FedscapeError) -> str:
    """What a user is shown of an error: a line, and one for each that came with it."""
    errors = error.errors if isinstance(error, FedscapeErrors) else [error]
    lines = [str(error) for error in errors[:MOST]]
    more = [f"and {len(errors) - MOST} more"] if len(errors) > MOST else []
    return "\n  ".join([f"fedscape: {lines[0]}", *lines[1:], *more])
