"""Serialised tf.train.Example messages, read without TensorFlow.

Protocol buffers' wire format: a message is a sequence of fields, each a varint key (field number * 8 + wire
type) and a value. Of an Example only this is read::

    Example {features: 1}   Features {feature: map 1}   entry {key: 1, value: 2}
    Feature {bytes_list: 1, float_list: 2, int64_list: 3}   BytesList {value: repeated bytes 1}
"""

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types; 3 and 4 are groups, which proto3 does not have."""
SIZES = {FIXED64: 8, FIXED32: 4}
"""Bytes of a number of fixed size."""
LONGEST_VARINT = 10
"""Bytes of a 64-bit number, 7 bits in each."""


def bytes_feature(example: bytes, name: str) -> list[bytes] | None:
    """The values of a bytes feature of a serialised Example, or None where it has no feature of this name.

    Raises ValueError where the message is cut off or malformed, or the feature is of another kind.
    """
    encoded_name, feature = name.encode(), None
    for features in _messages(example, 1):
        for item in _messages(features, 1):
            key, value = b"", b""
            for number, content in _fields(item):
                if number == 1:
                    key = content
                elif number == 2:
                    value = content
            if key == encoded_name:
                feature = value  # of a repeated key the last one counts
    if feature is None:
        return None
    values: list[bytes] = []
    for number, content in _fields(feature):
        if number != 1:
            raise ValueError(f"feature {name} holds numbers, where bytes are wanted")
        values += _messages(content, 1)
    return values


def _messages(message: bytes | int, field: int) -> Iterator[bytes]:
    """The values of one field of a message that are messages or bytes themselves."""
    for number, content in _fields(message):
        if number == field:
            if isinstance(content, int):
                raise ValueError(f"field {number} is a number, where a message is wanted")
            yield content


def _fields(message: bytes | int) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of each field: bytes where the wire has a length, else a number."""
    if isinstance(message, int):
        raise ValueError("a number, where a message is wanted")
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire not in (FIXED64, LENGTH, FIXED32) or number == 0:
            raise ValueError(f"field {number} of wire type {wire}")
        size, position = _varint(message, position) if wire == LENGTH else (SIZES[wire], position)
        content = message[position : position + size]
        if len(content) < size:
            raise ValueError(f"cut off: {size} bytes announced, {len(content)} there")
        yield number, content if wire == LENGTH else int.from_bytes(content, "little")
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number at a position, lowest 7 bits first, and the position behind it."""
    value = 0
    for index in range(LONGEST_VARINT):
        if position + index >= len(message):
            raise ValueError("cut off within a number")
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError(f"a number of more than {LONGEST_VARINT} bytes")
