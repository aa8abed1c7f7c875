"""What the tests with hypothesis share: values, places to put them, damage to bytes, and what must come of it."""

from broken_input import LONGEST
from hypothesis import strategies as st

from fedscape.errors import FedscapeError


def read_or_refuse(function, *arguments):
    """What a call returns, or None if it refuses its input in one printable line."""
    try:
        return function(*arguments)
    except FedscapeError as error:
        assert str(error).isprintable() and 0 < len(str(error)) < LONGEST
        return None


# Studies and settings

words = st.sampled_from(
    ["iid", "dir", "convnet", "fedavg", "random", "digits", "last", "all", "train", "..", "a/b", "", "x"]
)
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 9), st.integers(), words, st.text(max_size=8),
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.5, 1.0, -1.0, 0.1, 1e300]),
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


def places(content, above=()):
    """Every place of nested maps and lists."""
    yield above
    if isinstance(content, (dict, list)):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield from places(content[key], (*above, key))


@st.composite
def damage(draw):
    """Edits of bytes: where as a share of the length, how many go, and what comes in their place."""
    edits = st.tuples(st.floats(0, 1), st.integers(0, 9), st.binary(max_size=9))
    return draw(st.lists(edits, min_size=1, max_size=4)), draw(st.floats(0, 1) | st.just(1.0))


def damaged(content: bytes, edits, kept: float) -> bytes:
    for share, out, new in edits:
        at = int(share * len(content))
        content = content[:at] + new + content[at + out :]
    return content[: int(kept * len(content))]
