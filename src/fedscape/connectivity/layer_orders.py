"""Orders in which layers are averaged one after the other until all of them are."""

from fedscape.errors import FedscapeError
from fedscape.jobs.streams import stream

ORDERS = ("shallow", "deep", "random", "middle-out", "outside-in")


def order(kind: str, count: int, seed: int = 0) -> list[int]:
    """Places 0 (shallowest) to count - 1 of layers, in the order of a kind.

    shallow, deep: from the first or the last layer on. random: by the stream `layer order` of `seed`.
    middle-out: from place count // 2 on, its neighbours in turns, the shallower one first. outside-in: first,
    last, second, second last, ..., so the first 2k are the k shallowest and the k deepest layers.
    """
    if kind == "shallow":
        return list(range(count))
    if kind == "deep":
        return list(reversed(range(count)))
    if kind == "random":
        return stream(seed, "layer order").permutation(count).tolist()
    if kind == "middle-out":
        # The distance to a point just below the middle grows from the middle on, without ties.
        return sorted(range(count), key=lambda depth: abs(4 * depth - (4 * (count // 2) - 1)))
    if kind == "outside-in":
        return [step // 2 if step % 2 == 0 else count - 1 - step // 2 for step in range(count)]
    raise FedscapeError(f"no order '{kind}' of layers; there are {', '.join(ORDERS)}")
