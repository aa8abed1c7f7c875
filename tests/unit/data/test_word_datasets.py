"""Next-word data sets, from small files in the formats of TensorFlow Federated and of LEAF, whole and broken."""

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing

import numpy as np
import pytest
from leaf_files import leaf_file, write_leaf
from proto_examples import example
from stack_overflow_files import SAID, write_sqlite

from fedscape.columns.csvs import read_csv
from fedscape.data import partition
from fedscape.data.datasets import reddit, stack_overflow
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples


def prepared(tmp_path, kind, **settings):
    out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    prepare_dataset("talk", Plugin(kind, settings), tmp_path, out)
    return open_dataset(out)


def refusal(tmp_path, kind, **settings) -> str:
    with pytest.raises(FedscapeError) as error:
        prepared(tmp_path, kind, **settings)
    message = str(error.value)
    assert "\n" not in message and message.startswith("talk: ")
    return message


def vocabulary(said, words) -> list[str]:
    counts = Counter(word for sentences in said.values() for one in sentences for word in one.split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ["<UNK>", "<BOS>", "<EOS>", *ranked[:words]]


def joined(sentences, classes) -> list[str]:
    """A client's sentences with the tokens around them, other words than the classes unknown."""
    tokens = [token for one in sentences for token in ("<BOS>", *one.split(), "<EOS>")]
    return [token if token in classes else "<UNK>" for token in tokens]


def decoded(opened, tokens) -> list[list[str]]:
    return [[opened.classes[token] for token in row] for row in tokens]


def check_sequences(opened, said, words, length):
    """All of a data set against joining and cutting by hand."""
    classes = vocabulary(said["train"], words)
    assert list(opened.classes) == classes and opened.shape == (length,)
    assert (opened.train_inputs.dtype, opened.train_labels.dtype) == (np.int32, np.int64)
    for split in ("train", "test"):
        cuts, owners = [], []
        for client in sorted(said[split]):
            tokens = joined(said[split][client], classes)
            own = [tokens[at : at + length + 1] for at in range(0, len(tokens) - length, length)]
            owners += [client] * len(own)
            cuts += own
        inputs, labels = getattr(opened, f"{split}_inputs"), getattr(opened, f"{split}_labels")
        assert decoded(opened, inputs) == [one[:-1] for one in cuts]
        assert decoded(opened, labels) == [one[1:] for one in cuts]
        if split == "train":
            names = sorted(set(owners))
            assert opened.train_clients.tolist() == [names.index(client) for client in owners]


# Stack Overflow


@pytest.fixture
def posts(tmp_path):
    path = tmp_path / "stackoverflow.sqlite"
    write_sqlite(path)
    return path


@pytest.mark.parametrize("length", [1, 4, 9])
@pytest.mark.parametrize("words", [1, 5, 1000])
def test_posts_are_joined_and_cut(tmp_path, posts, words, length):
    opened = prepared(tmp_path, "stack-overflow", vocabulary=words, length=length)
    check_sequences(opened, SAID, words, length)


def test_the_database_is_left_alone_and_its_md5_recorded(tmp_path, posts):
    before = posts.read_bytes()
    posts.chmod(0o444)
    opened = prepared(tmp_path, "stack-overflow", length=4)
    assert posts.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"stackoverflow.sqlite"}
    recorded = json.loads(next(tmp_path.glob("out*/dataset.json")).read_text())
    assert recorded["sources"] == {"stackoverflow.sqlite": hashlib.md5(before).hexdigest()}
    assert recorded["natural_clients"] == len(np.unique(opened.train_clients)) == 3


@pytest.mark.parametrize("index", [False, True])
def test_clients_may_lie_anywhere_in_the_file(tmp_path, posts, index):
    posts.unlink()
    write_sqlite(posts, index=index, mixed=True)
    with closing(sqlite3.connect(posts)) as database:
        order = [client for (client,) in database.execute("SELECT client_id FROM examples ORDER BY rowid")]
    assert order != sorted(order, key=order.index)
    check_sequences(prepared(tmp_path, "stack-overflow", length=4), SAID, 1000, 4)


def test_a_small_draw_of_clients_is_part_of_a_larger_one(tmp_path, posts):
    """With a word in each sentence that only its client says, the vocabulary tells who was drawn."""
    said = {f"{number}": [f"word{number} said here", "and so on"] for number in range(20)}
    posts.unlink()
    write_sqlite(posts, {"train": said, "test": said})
    drawn = []
    for count, seed in ((5, 0), (9, 0), (5, 1), (None, 0)):
        opened = prepared(tmp_path, "stack-overflow", length=2, max_clients=count, clients_seed=seed)
        drawn.append({name for name in opened.classes if name.startswith("word")})
        assert len(np.unique(opened.train_clients)) == len(drawn[-1]) == (count or 20)
    five, nine, others, everyone = drawn
    assert five < nine < everyone and five != others


def test_the_first_sentences_of_a_client(tmp_path, posts):
    opened = prepared(tmp_path, "stack-overflow", length=1, max_sentences=1)
    said = {split: {client: all_[:1] for client, all_ in clients.items()} for split, clients in SAID.items()}
    check_sequences(opened, said, 1000, 1)


def test_other_users_for_testing(tmp_path, posts):
    opened = prepared(tmp_path, "stack-overflow", length=3, test_split="heldout")
    check_sequences(opened, SAID | {"test": SAID["heldout"]}, 1000, 3)


def test_empty_sentences_are_passed_over(tmp_path, posts):
    posts.unlink()
    said = {"1": ["", "one two", " ", "three"]}
    write_sqlite(posts, {"train": said, "test": said})
    opened = prepared(tmp_path, "stack-overflow", length=3)
    check_sequences(opened, {split: {"1": ["one two", "three"]} for split in ("train", "test")}, 1000, 3)


def test_a_missing_database_tells_what_to_do(tmp_path):
    message = refusal(tmp_path, "stack-overflow")
    assert f"{tmp_path / 'stackoverflow.sqlite'} not found; get stackoverflow.sqlite.lzma" in message
    assert "data_root" in message


@pytest.mark.parametrize("content", [b"", b"not a database" * 100])
def test_a_file_that_is_no_database_is_named(tmp_path, content):
    (tmp_path / "stackoverflow.sqlite").write_bytes(content)
    message = refusal(tmp_path, "stack-overflow")
    assert f"{tmp_path / 'stackoverflow.sqlite'}: " in message
    assert "has no table examples" in message or "not a whole sqlite file" in message


def test_a_database_that_is_cut_off_is_named(tmp_path, posts):
    posts.unlink()
    write_sqlite(posts, {"train": {"1": ["some words"] * 2000}, "test": {"1": ["some words"] * 20}})
    posts.write_bytes(posts.read_bytes()[: posts.stat().st_size // 2])
    assert f"{posts}: not a whole sqlite file (" in refusal(tmp_path, "stack-overflow")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE client_metadata", "has no table client_metadata"),
        ("ALTER TABLE examples RENAME client_id TO client", "examples: has no column client_id"),
        (
            "UPDATE client_metadata SET split_name = 'N/A'",
            "client_metadata: no client has split_name train; there are N/A",
        ),
        ("DELETE FROM client_metadata", "no client has split_name train; there are none"),
        (
            "UPDATE examples SET serialized_example_proto = 'text'",
            "serialized_example_proto: a blob is wanted, got 'text'",
        ),
        (
            "UPDATE examples SET serialized_example_proto = x'0a05' WHERE client_id = '4'",
            "examples: client 4: serialized_example_proto: no tf.train.Example (cut off: 5 bytes announced, 0 there)",
        ),
        (
            "UPDATE examples SET serialized_example_proto = x''",
            "serialized_example_proto: no feature tokens, where one text is wanted",
        ),
        (
            "DELETE FROM examples WHERE split_name = 'train'",
            "talk: train: none of 0 clients has a sequence of 20",
        ),
    ],
)
def test_a_wrong_database_is_named_with_the_place(tmp_path, posts, change, message):
    with closing(sqlite3.connect(posts)) as database, database:
        database.execute(change)
    assert message in refusal(tmp_path, "stack-overflow")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([b"\xff"], "no tf.train.Example ('utf-8' codec"),
        ([], "0 values in feature tokens"),
        ([b"a"] * 2, "2 values in"),
    ],
)
def test_a_wrong_feature_is_named(tmp_path, posts, values, message):
    with closing(sqlite3.connect(posts)) as database, database:
        database.execute("UPDATE examples SET serialized_example_proto = ?", (example({"tokens": values}),))
    assert f"{posts}: examples: client " in refusal(tmp_path, "stack-overflow")
    assert message in refusal(tmp_path, "stack-overflow")


def test_sequences_that_are_too_long_are_refused(tmp_path, posts):
    message = refusal(tmp_path, "stack-overflow", length=21)
    assert "talk: train: none of 4 clients has a sequence of 21 tokens and the one that follows" in message
    assert "the longest text has 21 tokens; lower length" in message


# Reddit


def chunks(tokens: list[str]) -> list[list[str]]:
    """As LEAF's preprocess.py: chunks of 10, the last one filled up."""
    filled = tokens + ["<PAD>"] * (-len(tokens) % 10)
    return [filled[at : at + 10] for at in range(0, len(filled), 10)]


def comments(sentences: list[str]) -> dict[str, list]:
    """A user's x and y; count_tokens and the rest are LEAF's, too."""
    words = [sentence.split() for sentence in sentences]
    targets = [chunks([*one, "<EOS>", "<PAD>"]) for one in words]
    return {
        "x": [chunks(["<BOS>", *one, "<EOS>"]) for one in words],
        "y": [{"subreddit": "pics", "created_utc": 1, "score": 2, "target_tokens": one} for one in targets],
    }


@pytest.fixture
def folder(tmp_path):
    """Users over several files, the same ones in each split, as LEAF has them; some have nothing in one."""
    folder = tmp_path / "reddit"
    for split in ("train", "test"):
        by_user = {client: comments(sentences) for client, sentences in SAID[split].items()}
        names = [*by_user]
        write_leaf(folder, split, "reddit_1", leaf_file({name: by_user[name] for name in names[:1]}))
        rest = {name: by_user[name] for name in names[1:]} | {"silent": {"x": [], "y": []}}
        write_leaf(folder, split, "reddit_0", leaf_file(rest))
    return folder


@pytest.mark.parametrize("length", [1, 3, 10])
@pytest.mark.parametrize("words", [4, 1000])
def test_comments_are_joined_and_cut(tmp_path, folder, words, length):
    check_sequences(prepared(tmp_path, "reddit", vocabulary=words, length=length), SAID, words, length)
    recorded = json.loads(next(tmp_path.glob("out*/dataset.json")).read_text())
    content = (folder / "test/reddit_1.json").read_bytes()
    assert recorded["sources"]["reddit/test/reddit_1.json"] == hashlib.md5(content).hexdigest()
    assert len(recorded["sources"]) == 4


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"x": ["a comment"], "y": [{}]}, "user_data.5.x[0]: a list of lists of text is wanted, got a comment"),
        ({"x": [[["<BOS>", 3]]], "y": [{}]}, "user_data.5.x[0]: a list of lists of text is wanted, got [['<BOS>', 3]]"),
        ({"x": [[["<BOS>", "<EOS>"]]], "y": ["t"]}, "user_data.5.y[0].target_tokens: missing, or not a list"),
        ({"x": [[["<BOS>", "<EOS>"]]], "y": [{"target_tokens": [7]}]}, "y[0].target_tokens: a list of lists of text"),
        (
            {"x": [[["<BOS>", "hm"]]], "y": [{"target_tokens": [["hm"]]}]},
            "user_data.5.x[0]: ['<BOS>', 'hm'] is not between <BOS> and <EOS>",
        ),
        (
            {"x": [[["<BOS>", "a", "b", "<EOS>"]]], "y": [{"target_tokens": [["a", "<EOS>"]]}]},
            "user_data.5.y[0].target_tokens: ['a', '<EOS>'] is not x[0] moved by one token",
        ),
        ({"x": [[]], "y": []}, "user_data.5: 1 in x and 0 in y"),
        ({"y": []}, "user_data.5.x: missing, or not a list"),
    ],
)  # fmt: skip
def test_a_wrong_comment_is_named_with_the_key(tmp_path, folder, user, message):
    write_leaf(folder, "train", "wrong", leaf_file({"5": user}))
    found = refusal(tmp_path, "reddit")
    assert f"{folder / 'train/wrong.json'}: " in found and message in found


def test_missing_comments_tell_what_to_do(tmp_path, folder):
    for path in (folder / "test").iterdir():
        path.unlink()
    message = refusal(tmp_path, "reddit")
    assert f"no {folder / 'test'}/*.json found" in message and "run_reddit.sh" in message
    write_leaf(folder, "test", "empty", leaf_file({}))
    assert "talk: test: none of 0 clients has a sequence of 10 tokens" in refusal(tmp_path, "reddit")


# Both


@pytest.mark.parametrize(
    ("plugin", "settings", "message"),
    [
        (reddit, {"folder": ""}, "folder must name a folder with"),
        (reddit, {"vocabulary": 0}, "vocabulary must be >= 1, got 0"),
        (reddit, {"length": 0}, "length must be >= 1, got 0"),
        (stack_overflow, {"file": ""}, "file must name an sqlite file, got ''"),
        (stack_overflow, {"vocabulary": 0}, "vocabulary must be >= 1, got 0"),
        (stack_overflow, {"length": -1}, "length must be >= 1, got -1"),
        (stack_overflow, {"max_clients": 0}, "max_clients must be >= 1 or null, got 0"),
        (stack_overflow, {"max_sentences": 0}, "max_sentences must be >= 1 or null, got 0"),
        (stack_overflow, {"clients_seed": -1}, "clients_seed must be >= 0, got -1"),
    ],
)
def test_settings_are_checked(plugin, settings, message):
    with pytest.raises(ValueError, match=message):
        plugin.Settings(**settings)


@pytest.mark.parametrize("together", [False, True])
def test_words_of_clients_in_a_partition(tmp_path, posts, monkeypatch, together):
    """Every word is a row of each client in the CSV, or all are one where that would be too many rows."""
    opened = prepared(tmp_path, "stack-overflow", length=4)
    clients, classes = 3, len(opened.classes)
    monkeypatch.setattr(partition, "MOST_ROWS", clients * classes - together)
    partition.make_partition(
        dataset=next(tmp_path.glob("out*")), scheme=Plugin("natural"), clients=None, partition_seed=0,
        samples=UsedSamples(seed=0), identity={"partition": "p"}, npz=tmp_path / "p.npz", csv=tmp_path / "p.csv",
    )  # fmt: skip
    table = read_csv(tmp_path / "p.csv")
    for client in range(clients):
        rows = table[table["client"] == client]
        labels = opened.train_labels[opened.train_clients == client]
        if together:
            assert (rows["class"].item(), rows["class_name"].item()) == (-1, "*")
            assert rows["samples"].item() == labels.size
        else:
            assert tuple(rows["class_name"]) == opened.classes
            assert rows["samples"].tolist() == np.bincount(labels.ravel(), minlength=classes).tolist()
