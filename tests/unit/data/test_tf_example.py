"""The reader of tf.train.Example against bytes that Google's protobuf library wrote."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proto_examples import example, field, varint

from fedscape.data.sources.tf_example import bytes_feature

# protobuf 7.36, SerializeToString(deterministic=True): creation_date, empty, many, none, score, tags, title, tokens,
# type and weights, of all three kinds, with a negative whole number, an empty text, an empty list and no list at all.
WRITTEN = base64.b64decode(
    "CvACCiwKDWNyZWF0aW9uX2RhdGUSGwoZChcyMDEwLTAxLTA4IDA5OjM0OjA1IFVUQwoJCgVlbXB0eRIAChMKBG1hbnkSCwoJCgFhCgAKAmJjCgoK"
    "BG5vbmUSAgoAChcKBXNjb3JlEg4aDAoK////////////AQoWCgR0YWdzEg4KDAoKc3FsfG1lZGlhbgoTCgV0aXRsZRIKCggKBm5hw692ZQqgAQoG"
    "dG9rZW5zEpUBCpIBCo8BaWYgeW91J3JlIHVzaW5nIHNxbCAyMDA1IG9yIGJldHRlciB0aGlzIGlzIGEgbmljZSAsIHNpbXBsZS1pc2ggbWVkaWFu"
    "IGNhbGN1bGF0aW9uIGZvciBhIHNpbmdsZSBjb2x1bW4gaW4gYSB0YWJsZSA6IHJlYWxseSByZWFsbHkgcmVhbGx5IDxVUkw+IC4KEgoEdHlwZRIK"
    "CggKBmFuc3dlcgoXCgd3ZWlnaHRzEgwSCgoIAAAAPwAAAMA="
)
SENTENCE = (
    b"if you're using sql 2005 or better this is a nice , simple-ish median calculation for a single column in a "
    b"table : really really really <URL> ."
)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tokens", [SENTENCE]),
        ("title", ["naïve".encode()]),
        ("many", [b"a", b"", b"bc"]),
        ("none", []),
        ("empty", []),
        ("creation_date", [b"2010-01-08 09:34:05 UTC"]),
        ("absent", None),
    ],
)
def test_what_protobuf_wrote_is_read(name, values):
    assert bytes_feature(WRITTEN, name) == values


@pytest.mark.parametrize("name", ["score", "weights"])
def test_numbers_are_not_taken_for_bytes(name):
    with pytest.raises(ValueError, match=f"feature {name} holds numbers"):
        bytes_feature(WRITTEN, name)


@given(st.dictionaries(st.text(), st.lists(st.binary(max_size=300), max_size=3), max_size=4))
def test_any_features_are_read(features):
    message = example(features)
    for name, values in features.items():
        assert bytes_feature(message, name) == values


def test_of_a_key_that_comes_twice_the_last_one_counts():
    """As in any protobuf map; and messages of one field that come in two parts are one."""
    assert bytes_feature(example({"a": [b"1"]}) + example({"b": [b"2"]}) + example({"a": [b"3"]}), "a") == [
        b"3"
    ]
    assert bytes_feature(example({"a": [b"1"]}) + example({"b": [b"2"]}), "b") == [b"2"]


def test_unknown_fields_are_passed_over():
    unknown = (
        field(9, b"later")
        + varint(8 * 10)
        + varint(2**63)
        + varint(8 * 11 + 1)
        + bytes(8)
        + varint(8 * 12 + 5)
        + bytes(4)
    )
    assert bytes_feature(unknown + example({"a": [b"1"]}) + unknown, "a") == [b"1"]


@pytest.mark.parametrize("length", range(1, len(WRITTEN)))
def test_a_message_that_is_cut_off_is_refused(length):
    with pytest.raises(ValueError, match="cut off"):
        bytes_feature(WRITTEN[:length], "tokens")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x0b", "field 1 of wire type 3"),
        (b"\x02\x00", "field 0 of wire type 2"),
        (b"\xff" * 11, "a number of more than 10 bytes"),
        (b"\x08\x01", "field 1 is a number, where a message is wanted"),
        (
            field(1, field(1, field(1, b"tokens") + varint(16) + varint(7))),
            "a number, where a message is wanted",
        ),
    ],
)
def test_a_malformed_message_is_refused(message, reason):
    with pytest.raises(ValueError, match=reason):
        bytes_feature(message, "tokens")
