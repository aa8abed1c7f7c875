"""Raw files of data sets that are malformed where the tests of each kind do not look."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from broken_input import refusal
from leaf_files import leaf_file, write_leaf
from PIL import Image
from proto_examples import example

from fedscape.data.datasets import image_folder
from fedscape.data.prepare import prepare_dataset
from fedscape.plugins import Plugin

COMMENT = {"x": [[["<BOS>", "a", "<EOS>"]]], "y": [{"target_tokens": [["a", "<EOS>"]]}]}
DRAWING = {"x": [[0.5] * 784], "y": [1]}
WINDOW = {"x": ["abc"], "y": ["d"]}
SAMPLE = {"femnist": DRAWING, "leaf-text": WINDOW, "reddit": COMMENT}


def refused(tmp_path, kind, **settings) -> str:
    said = refusal(prepare_dataset, "mine", Plugin(kind, settings), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    return said


LEAF = {
    "no end": '{"users": ["a"], "user_data": {"a": {"x": [',
    "no text": b"\xff\xfe{}",
    "too deep": '{"user_data": ' + "[" * 100_000,
    "a number of 5,000 digits": '{"user_data": ' + "9" * 5000 + "}",
    "two values": "{} {}",
    "a user's samples twice": '{"users": ["a"], "user_data": {"a": {"x": [], "y": []}, "a": {"x": [], "y": []}}}',
    "nothing": "",
}


@pytest.mark.parametrize("kind", SAMPLE)
@pytest.mark.parametrize("case", LEAF)
def test_a_leaf_file_that_is_no_json_is_named(tmp_path, kind, case):
    content = LEAF[case]
    write_leaf(tmp_path / "leaf", "train", "a", leaf_file({"a": SAMPLE[kind]}))
    (tmp_path / "leaf" / "test").mkdir()
    file = tmp_path / "leaf" / "test" / "b.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = {"length": 1} if kind == "reddit" else {}
    assert f"mine: {file}: not valid JSON (" in refused(tmp_path, kind, folder="leaf", **settings)


@pytest.mark.parametrize("kind", SAMPLE)
@pytest.mark.parametrize("what", ["a pipe", "a folder", "a dangling link"])
def test_a_leaf_file_that_is_no_file_is_named(tmp_path, kind, what):
    write_leaf(tmp_path / "leaf", "train", "a", leaf_file({"a": SAMPLE[kind]}))
    write_leaf(tmp_path / "leaf", "test", "a", leaf_file({"a": SAMPLE[kind]}))
    broken_image(path := tmp_path / "leaf" / "test" / "b.json", what)
    assert refused(tmp_path, kind, folder="leaf") == f"mine: {path} is no file, or a link to none; remove it"


def test_users_without_samples_are_told(tmp_path, caplog):
    users = {name: {"x": [], "y": []} for name in ("b", "c", "d", "e\n")}
    write_leaf(tmp_path / "leaf", "train", "a", leaf_file({"a": WINDOW, **users}))
    write_leaf(tmp_path / "leaf", "test", "a", leaf_file({"a": WINDOW}))
    prepare_dataset("mine", Plugin("leaf-text", {"folder": "leaf"}), tmp_path, tmp_path / "out")
    where = f"mine: {tmp_path}/leaf/train/a.json"
    assert caplog.messages == [f"{where}: 4 users without samples are left out: b, c, d, ..."]
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["natural_clients"] == 1


SHAPES = {
    "a list": ([], "user_data: missing, or not an object"),
    "null": (None, "user_data: missing, or not an object"),
    "users of another type": ({"users": "ab", "user_data": {}}, "users: missing, or not a list"),
    "a user twice": ({"users": ["a", "a"], "user_data": {"a": {}}}, "users: a stands there twice"),
    "a user who is not listed": ({"users": [], "user_data": {"a": {"x": [], "y": []}}}, "user_data.a: is not in users"),
    "a user that is a number": ({"users": [7], "user_data": {}}, "user_data.7: missing, or not an object"),
    "a user with an escape": ({"users": ["\x1b[2J"], "user_data": {}}, "user_data.\\x1b[2J: missing, or not an object"),
    "a user over two lines": ({"users": ["a\nb"], "user_data": {}}, "user_data.a\\nb: missing, or not an object"),
    "a user that is a list": ({"users": [["a"]], "user_data": {}}, "user_data.['a']: missing, or not an object"),
    "samples that are text": ({"users": ["a"], "user_data": {"a": {"x": "ab", "y": "ab"}}}, "user_data.a.x: missing, or not a list"),
    "samples that are null": ({"users": ["a"], "user_data": {"a": {"x": None, "y": []}}}, "user_data.a.x: missing, or not a list"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLE)
@pytest.mark.parametrize("case", SHAPES)
def test_a_leaf_file_of_another_shape_is_named_with_the_key(tmp_path, kind, case):
    content, message = SHAPES[case]
    write_leaf(tmp_path / "leaf", "train", "a", content)
    write_leaf(tmp_path / "leaf", "test", "a", leaf_file({"a": SAMPLE[kind]}))
    assert refused(tmp_path, kind, folder="leaf") == f"mine: {tmp_path}/leaf/train/a.json: {message}"


@pytest.mark.parametrize(
    ("kind", "user", "message"),
    [
        ("femnist", {"x": [[10**400] * 784], "y": [1]}, "user_data.a.x: lists of 784 numbers from 0 to 1 are wanted ("),
        ("femnist", {"x": [[float("inf")] * 784], "y": [1]}, "user_data.a.x: lists of 784 numbers from 0 to 1 are wanted, found inf"),
        ("femnist", {"x": [[None] * 784], "y": [1]}, "user_data.a.x: lists of 784 numbers from 0 to 1 are wanted"),
        ("femnist", {"x": [[[0.5] * 28] * 28], "y": [1]}, "are wanted, found the shape (28, 28)"),
        ("femnist", {"x": [[0.5] * 784], "y": [1.0]}, "user_data.a.y: 1.0, where a whole number from 0 to 61 is wanted"),
        ("femnist", {"x": [[0.5] * 784], "y": [None]}, "user_data.a.y: None, where a whole number from 0 to 61"),
        ("leaf-text", {"x": ["ab\ud800"], "y": ["d"]}, "data set mine: the class '\\ud800' is no text in UTF-8"),
        ("leaf-text", {"x": [None], "y": ["d"]}, "user_data.a: x and y must be lists of text"),
        ("reddit", {"x": [[["<BOS>", "\ud800", "<EOS>"]]], "y": [{"target_tokens": [["\ud800", "<EOS>"]]}]}, "the class '\\ud800' is no text in UTF-8"),
        ("reddit", {"x": [{}], "y": [{}]}, "user_data.a.x[0]: a list of lists of text is wanted, got {}"),
        ("reddit", {"x": [[[[["a"]]]]], "y": [{}]}, "user_data.a.x[0]: a list of lists of text is wanted"),
        ("reddit", {"x": [[]], "y": [{"target_tokens": []}]}, "user_data.a.x[0]: [] is not between <BOS> and <EOS>"),
    ],
)  # fmt: skip
def test_a_wrong_sample_is_named_with_the_key(tmp_path, kind, user, message):
    settings = {"length": 1} if kind == "reddit" else {}
    for split in ("train", "test"):
        write_leaf(tmp_path / "leaf", split, "a", leaf_file({"a": user}))
    assert message in refused(tmp_path, kind, folder="leaf", **settings)


PLAYS = {
    "no text in UTF-8": (b"ROMEO:\n\xff\n", "play.txt is no UTF-8 text"),
    "nothing": (b"", "blocks of plays begin with a line `SPEAKER:`, found ''"),
    "no speaker": (
        b"Once upon a time\n",
        "blocks of plays begin with a line `SPEAKER:`, found 'Once upon a time'",
    ),
    "an escape for a speaker": (b"\x1b[2J\nHello\n", "found '\\x1b[2J'"),
    "too little": (b"ROMEO:\nhm\n", "none of 1 texts has 2 sequences of 256 characters"),
}


@pytest.mark.parametrize("case", PLAYS)
def test_a_text_that_is_no_play_is_named(tmp_path, case):
    content, message = PLAYS[case]
    (tmp_path / "play.txt").write_bytes(content)
    assert message in refused(tmp_path, "tinyshakespeare", file="play.txt")


def test_a_text_that_is_a_folder_is_not_found(tmp_path):
    (tmp_path / "play.txt").mkdir()
    assert "play.txt not found" in refused(tmp_path, "tinyshakespeare", file="play.txt")


# Folders of images


@pytest.fixture
def images(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (4, 4), (number, 2 * number, 9 * number)).save(
                tmp_path / "pets" / name / f"{number}.png"
            )
    return tmp_path / "pets"


def broken_image(path, how):
    if how == "a folder":
        path.mkdir()
    elif how == "a dangling link":
        path.symlink_to("nowhere.png")
    elif how == "a link to itself":
        path.symlink_to(path.name)
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "16 bits":
        Image.new("I;16", (4, 4)).save(path)
    elif how == "cut off":
        whole = (path.parent / "0.png").read_bytes()
        path.write_bytes(whole[:45])
    elif how == "a bomb":  # a header of 60,000 x 60,000 pixels, and nothing behind it
        Image.new("1", (4, 4)).save(path, format="PPM")
        path.write_bytes(b"P4\n60000 60000\n")
    elif how == "a small bomb":  # below what Pillow refuses, 300 MB once it is decoded
        path.write_bytes(b"P4\n10000 10000\n" + b"\0" * 12_500_000)
    else:
        path.write_bytes({"empty": b"", "text": b"GIF", "a script": b"#!/bin/sh\ntouch x\n"}[how])


@pytest.mark.parametrize(
    "how",
    ["a folder", "a dangling link", "a link to itself", "a pipe", "16 bits", "cut off", "a bomb", "a small bomb", "empty", "text", "a script"],
)  # fmt: skip
def test_what_is_no_image_is_named(tmp_path, images, how):
    path = images / "dog" / "9.png"
    broken_image(path, how)
    said = refused(tmp_path, "image-folder", folder="pets", size=4, test_fraction=0.3)
    assert str(path) in said and ("remove it" in said)


def test_large_images_pass_through_memory_a_few_at_a_time(tmp_path, images, monkeypatch):
    monkeypatch.setattr(image_folder, "BLOCK_BYTES", 3 * 4 * 4 * 2)
    settings = image_folder.Settings("pets", size=4, test_fraction=0.3)
    assert [len(block) for block in image_folder.load(settings, tmp_path, "mine").train_inputs.blocks()] == [
        2
    ] * 3


def test_a_data_set_that_the_disk_cannot_hold_is_refused_before_it_is_written(tmp_path, images, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    said = refused(tmp_path, "image-folder", folder="pets", size=4, test_fraction=0.3)
    assert said == f"{tmp_path}/out/train-inputs.npy: takes 288 bytes, 100 are free there"


def test_a_loop_of_folders_ends(tmp_path, images):
    (images / "dog" / "again").symlink_to(images, target_is_directory=True)
    prepare_dataset(
        "mine", Plugin("image-folder", {"folder": "pets", "test_fraction": 0.3}), tmp_path, tmp_path / "out"
    )
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["train"] == 6


def test_a_class_that_is_no_text_is_named(tmp_path, images):
    os.rename(os.fsencode(images / "dog"), os.fsencode(images) + b"/\xff")  # noqa: PTH104 (bytes)
    assert "data set mine: the class '\\udcff' is no text in UTF-8" in refused(
        tmp_path, "image-folder", folder="pets", test_fraction=0.3
    )


@pytest.mark.parametrize("folder", ["", "/nowhere", "../nowhere", "pets/cat/0.png"])
def test_a_folder_that_is_none_is_named(tmp_path, images, folder):
    if not folder:
        with pytest.raises(ValueError, match="folder must name a folder of class folders"):
            prepare_dataset("mine", Plugin("image-folder", {"folder": folder}), tmp_path, tmp_path / "out")
        return
    assert "not found; place it there" in refused(tmp_path, "image-folder", folder=folder)


# A database

TABLES = "CREATE TABLE examples (split_name, client_id, serialized_example_proto); CREATE TABLE client_metadata (client_id, split_name, num_examples);"
WORDS = example({"tokens": [b"one two three"]})
ROWS = {
    "no client": (None, WORDS, "none of "),
    "a number": ("1", 7, "serialized_example_proto: a blob is wanted, got 7"),
    "nothing": ("1", None, "serialized_example_proto: a blob is wanted, got None"),
    "noise": ("1", bytes(range(256)), "serialized_example_proto: no tf.train.Example ("),
    "another feature": ("1", example({"words": [b"one"]}), "no feature tokens, where one text is wanted"),
    "a client with an escape": ("\x1b[2J", b"\xff", "client \\x1b[2J: serialized_example_proto"),
    "half a character": ("1", example({"tokens": [b"\xed\xa0\x80 a"]}), "no tf.train.Example ('utf-8' codec"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_wrong_row_is_named(tmp_path, case):
    client, blob, message = ROWS[case]
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as database, database:
        database.executescript(TABLES)
        for split in ("train", "test"):
            database.execute("INSERT INTO examples VALUES (?, ?, ?)", (split, client, blob))
            database.execute("INSERT INTO client_metadata VALUES (?, ?, 1)", (client, split))
    assert message in refused(tmp_path, "stack-overflow", file="s.sqlite")


@pytest.mark.parametrize("table", ["examples", "client_metadata"])
def test_a_view_without_an_end_is_no_table(tmp_path, table):
    rows = "WITH RECURSIVE r(split_name, client_id, serialized_example_proto) AS "
    rows += "(VALUES ('train', '1', x'00') UNION ALL SELECT * FROM r) SELECT * FROM r"
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as database, database:
        database.executescript(f"{TABLES}; DROP TABLE {table}; CREATE VIEW {table} AS {rows}")
    assert f"s.sqlite: has no table {table}" in refused(tmp_path, "stack-overflow", file="s.sqlite")


def test_text_of_another_encoding_is_named(tmp_path):
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as database, database:
        database.executescript(TABLES)
        database.execute("INSERT INTO client_metadata VALUES (CAST(x'ff' AS TEXT), 'train', 1)")
    assert "s.sqlite: not a whole sqlite file (" in refused(tmp_path, "stack-overflow", file="s.sqlite")
