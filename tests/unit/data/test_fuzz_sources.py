"""Whatever the raw files of a data set hold, preparing it ends well or with one line. See test_fuzz.py."""

import copy
import sqlite3
import string
from contextlib import closing

import numpy as np
import pytest
from fuzzing import damage, damaged, places, read_or_refuse, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from leaf_files import leaf_file, write_leaf
from PIL import Image
from proto_examples import example
from stack_overflow_files import write_sqlite

from fedscape.data.prepare import prepare_dataset
from fedscape.plugins import Plugin

# The folder is made once; what is written into it is overwritten by the next example.
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_sqlite(folder / "s.sqlite", {split: {"1": ["a b c"] * 3} for split in ("train", "test")})
    for name in ("cat", "dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for number in range(2):
            noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / "pets" / name / f"{number}.png")
    return folder


def prepare(raw, kind, **arguments):
    (raw / "out" / "dataset.json").unlink(missing_ok=True)
    return prepare_dataset("mine", Plugin(kind, arguments), raw, raw / "out")


SAMPLES = {
    "femnist": {"x": [[0.5] * 784], "y": [1]},
    "leaf-text": {"x": ["abc"], "y": ["d"]},
    "reddit": {"x": [[["<BOS>", "a", "<EOS>"]]], "y": [{"target_tokens": [["a", "<EOS>"]]}]},
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_any_json_for_leaf(raw, kind):
    whole = leaf_file({"a": SAMPLES[kind], "b": SAMPLES[kind]})
    spots = [place for place in places(whole) if len(place) < 6]

    @given(st.sampled_from(spots), values | st.text(alphabet=string.printable, max_size=3))
    def check(place, value):
        content = copy.deepcopy(whole)
        inner = content
        for key in place[:-1]:
            inner = inner[key]
        if place:
            inner[place[-1]] = value
        for split, file in (("train", content if place else value), ("test", whole)):
            write_leaf(raw / kind, split, "a", file)
        read_or_refuse(lambda: prepare(raw, kind, folder=kind, **({"length": 1} if kind == "reddit" else {})))

    check()


@fuzzed
@given(damage())
def test_any_damage_of_a_database(raw, how):
    path = raw / "d.sqlite"
    path.write_bytes(damaged((raw / "s.sqlite").read_bytes(), *how))
    read_or_refuse(lambda: prepare(raw, "stack-overflow", file="d.sqlite", length=2))


@fuzzed
@given(damage())
def test_any_damage_of_an_image(raw, how):
    path = raw / "pets" / "cat" / "0.png"
    whole = path.read_bytes()
    try:
        path.write_bytes(damaged(whole, *how))
        read_or_refuse(lambda: prepare(raw, "image-folder", folder="pets", size=4, test_fraction=0.5))
    finally:
        path.write_bytes(whole)


@fuzzed
@given(st.binary(max_size=200))
def test_any_bytes_for_plays(raw, content):
    (raw / "play.txt").write_bytes(b"ROMEO:\n" + content)
    read_or_refuse(lambda: prepare(raw, "tinyshakespeare", file="play.txt", length=2))


@fuzzed
@given(st.dictionaries(st.text(max_size=4), st.lists(st.binary(max_size=9), max_size=2), max_size=2))
def test_any_example_in_a_database(raw, features):
    with closing(sqlite3.connect(raw / "s.sqlite")) as database, database:
        database.execute("UPDATE examples SET serialized_example_proto = ?", (example(features),))
    read_or_refuse(lambda: prepare(raw, "stack-overflow", file="s.sqlite", length=2))
