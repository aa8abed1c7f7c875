"""Serialised tf.train.Example messages, written field by field as the wire format says."""

from collections.abc import Mapping, Sequence


def varint(number: int) -> bytes:
    """7 bits a byte, the lowest first; the highest bit says that more come."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    """A field with a length in front: bytes, text or a message."""
    return varint(8 * number + 2) + varint(len(content)) + content


def example(features: Mapping[str, Sequence[bytes]]) -> bytes:
    """Example {features {feature {key, value {bytes_list {value}}}}}."""
    items = b""
    for name, values in features.items():
        feature = field(1, b"".join(field(1, value) for value in values))
        items += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, items)
