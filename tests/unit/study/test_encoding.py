"""Settings as strings: canonical, reversible, and blind to what must not matter."""

import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedscape.errors import FedscapeError
from fedscape.study.encoding import decode, encode
from fedscape.study.types import settings_from

name = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False), st.text(max_size=20)
)
value = st.one_of(leaf, st.lists(leaf, max_size=3))
tree = st.recursive(
    st.dictionaries(name, value, min_size=1, max_size=4),
    lambda inner: st.dictionaries(name, st.one_of(value, inner), min_size=1, max_size=4),
    max_leaves=10,
)


def test_a_zero_below_zero_is_not_taken_for_another():
    """They are equal and hash alike, so a memo by value would hand out one for the other."""
    for values in ((0.0, -0.0), (-0.0, 0.0), (0, -0.0), (1, True, 1.0)):
        strings = [encode({"lr": value})[0] for value in values]
        assert strings == [f"lr={json.dumps(value)}" for value in values]
        assert len(set(strings)) == len(values)


@given(tree)
def test_decoding_gives_back_what_was_encoded(settings):
    settings.pop("code", None)  # stands for the digest of the code
    assert decode(["code=abc", *encode(settings)]) == settings


def test_order_of_keys_does_not_matter_and_swapped_values_do():
    assert encode({"lr": 0.1, "momentum": 0.9}) == encode({"momentum": 0.9, "lr": 0.1})
    assert encode({"lr": 0.1, "momentum": 0.9}) != encode({"lr": 0.9, "momentum": 0.1})
    # Snakemake compares sorted values, so the swap must show there too.
    assert sorted(encode({"a": 1, "b": 2})) != sorted(encode({"a": 2, "b": 1}))


@dataclass(frozen=True)
class Inner:
    size: float
    kinds: list[str] = field(default_factory=list)

    def __post_init__(self):
        if self.size > 9:
            raise ValueError(f"size must be <= 9, got {self.size}")


@dataclass(frozen=True)
class Example:
    rate: float
    steps: int = 3
    mode: Literal["fast", "slow"] = "fast"
    widths: list[int] | None = None
    rates: list[float] | None = None
    inner: Inner = Inner(1.0)
    number_or_inner: int | Inner | None = None

    def __post_init__(self):
        if self.rate <= 0:
            raise ValueError(f"rate must be > 0, got {self.rate}")


def test_numbers_have_one_spelling_and_defaults_are_written_out():
    wanted = {
        "rate": 1.0,
        "steps": 3,
        "mode": "fast",
        "widths": None,
        "rates": None,
        "inner": {"size": 1.0, "kinds": []},
        "number_or_inner": None,
    }
    assert settings_from(Example, {"rate": 1}, "here") == wanted
    assert encode(settings_from(Example, {"rate": 1}, "")) == encode(
        settings_from(Example, {"rate": 1.00}, "")
    )


def test_values_are_typed_inside_lists_choices_and_settings():
    given_values = {"rate": 1, "widths": [1], "rates": [1, 2], "inner": {"size": 2}, "number_or_inner": 4}
    checked = settings_from(Example, given_values, "here")
    spelled = [repr(checked[key]) for key in ("widths", "rates", "inner", "number_or_inner")]
    assert spelled == ["[1]", "[1.0, 2.0]", "{'size': 2.0, 'kinds': []}", "4"]
    chosen = settings_from(Example, {"rate": 1, "number_or_inner": {"size": 3, "kinds": ["a"]}}, "here")
    assert chosen["number_or_inner"] == {"size": 3.0, "kinds": ["a"]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "here: key 'rate' is missing"),
        ({"rate": None}, "here.rate: got None, expected a number"),
        ({"rate": 1, "inner": None}, "here.inner: got None, expected keys and values (size, kinds)"),
        ({"rate": 1, "inner": {}}, "here.inner: key 'size' is missing"),
        (
            {"rate": 1, "inner": {"size": 1, "kind": []}},
            "here.inner: unknown key 'kind'; did you mean 'kinds'? allowed: size, kinds",
        ),
        ({"rate": 1, "inner": {"size": "big"}}, "here.inner.size: got 'big', expected a number"),
        ({"rate": 1, "number_or_inner": {"size": 10}}, "here.number_or_inner: size must be <= 9, got 10.0"),
        (
            {"rate": 1, "number_or_inner": 0.5},
            "here.number_or_inner: got 0.5, expected a whole number or keys and values (size, kinds) or null",
        ),
        (
            {"rate": 1, "step": 2},
            "here: unknown key 'step'; did you mean 'steps'? allowed: rate, steps, mode, widths, rates, inner, number_or_inner",
        ),
        (
            {"rate": "1e-1"},
            "here.rate: '1e-1' is text (write 0.1; YAML reads numbers in quotes and 1e-1 as text), expected a number",
        ),
        ({"rate": True}, "here.rate: got True, expected a number"),
        ({"rate": 1, "steps": 2.5}, "here.steps: got 2.5, expected a whole number"),
        ({"rate": 1, "mode": "medium"}, "here.mode: got 'medium', expected one of fast, slow"),
        (
            {"rate": 1, "widths": [1, "2"]},
            "here.widths: got [1, '2'], expected a list, each a whole number or null",
        ),
        ({"rate": -1}, "here: rate must be > 0, got -1.0"),
    ],
)
def test_a_wrong_value_is_one_clear_line(values, message):
    with pytest.raises(FedscapeError) as error:
        settings_from(Example, values, "here")
    assert str(error.value) == message
