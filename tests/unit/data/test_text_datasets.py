"""Text data sets: who says what, what is cut from it, and what is said of files that are not as they should be."""

import hashlib
import json
from importlib import resources

import numpy as np
import pytest
from leaf_files import leaf_file, write_leaf

from fedscape.columns.csvs import read_csv
from fedscape.data.datasets import leaf_text, sklearn_descriptions, tinyshakespeare
from fedscape.data.partition import make_partition, open_partition
from fedscape.data.prepare import prepare_dataset
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples

PLAY = """ROMEO:
But, soft! what light
through yonder window breaks?

JULIET:
Ay me!

ROMEO:
She speaks.


Nurse:

JULIET:
O Romeo, Romeo!
"""
SPOKEN = {
    "JULIET": "Ay me!\n\nO Romeo, Romeo!",
    "ROMEO": "But, soft! what light\nthrough yonder window breaks?\n\nShe speaks.",
}
AWKWARD = "\n ,\"';#$\t\\0é日"
"""Characters that files of text may trip over; as classes each is a name in CSVs and in JSON."""


def prepared(tmp_path, kind, **settings):
    out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    prepare_dataset("words", Plugin(kind, settings), tmp_path, out)
    return open_dataset(out)


def plays(tmp_path, text=PLAY, **settings):
    (tmp_path / "play.txt").write_text(text, encoding="utf-8", newline="")
    return prepared(tmp_path, "tinyshakespeare", file="play.txt", **settings)


def decoded(opened, tokens) -> list[str]:
    return ["".join(opened.classes[token] for token in row) for row in tokens]


def refusal(tmp_path, kind, **settings) -> str:
    with pytest.raises(FedscapeError) as error:
        prepared(tmp_path, kind, **settings)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("words: ")
    return message


# Cutting


def test_speeches_are_joined_and_cut_in_order(tmp_path):
    opened = plays(tmp_path, length=5, test_fraction=0.2)
    assert opened.classes == tuple(sorted(set(PLAY))) and opened.shape == (5,)
    assert (opened.train_inputs.dtype, opened.train_labels.dtype) == (np.int32, np.int64)
    assert opened.mean == opened.std == ()
    train, test = {}, {}
    for client, speaker in enumerate(("JULIET", "ROMEO")):
        text = SPOKEN[speaker]
        cuts = [text[start : start + 6] for start in range(0, len(text) - 5, 5)]
        tests = max(1, round(0.2 * len(cuts)))
        train[client], test[client] = cuts[:-tests], cuts[-tests:]
    assert (len(test[0]), len(test[1])) == (1, 2)
    for client, cuts in train.items():
        rows = opened.train_clients == client
        assert decoded(opened, opened.train_inputs[rows]) == [one[:-1] for one in cuts]
        assert decoded(opened, opened.train_labels[rows]) == [one[1:] for one in cuts]
    assert decoded(opened, opened.test_inputs) == [one[:-1] for cuts in test.values() for one in cuts]
    assert decoded(opened, opened.test_labels) == [one[1:] for cuts in test.values() for one in cuts]


@pytest.mark.parametrize("characters", [23, 24, 25, 41])
@pytest.mark.parametrize("test_fraction", [0.01, 0.3, 0.99])
@pytest.mark.parametrize("length", [1, 4, 11])
def test_no_test_label_is_seen_in_training(tmp_path, length, test_fraction, characters):
    """No character comes twice, so places in the text can be told from tokens."""
    text = "".join(chr(0x4E00 + number) for number in range(characters))
    opened = plays(tmp_path, f"KING:\n{text}\n", length=length, test_fraction=test_fraction)
    seen = {*opened.train_inputs.ravel().tolist(), *opened.train_labels.ravel().tolist()}
    asked = opened.test_labels.ravel().tolist()
    assert not seen & set(asked)
    labels = [*opened.train_labels.ravel().tolist(), *asked]
    assert decoded(opened, [labels]) == [text[1 : len(labels) + 1]]
    assert 0 <= len(text) - 1 - len(labels) < length


def test_clients_with_too_little_text_are_left_out_and_the_others_numbered(tmp_path):
    said = {"ANNE": 4, "BONA": 9, "CLIFFORD": 8, "DION": 13}
    text = "\n\n".join(f"{speaker}:\n{'x' * characters}" for speaker, characters in said.items())
    opened = plays(tmp_path, text, length=4, test_fraction=0.1)
    assert opened.train_clients.tolist() == [0, 1, 1]
    assert len(opened.test_labels) == 2
    opened = plays(tmp_path, text, length=4, test_fraction=0.1, min_sequences=3)
    assert opened.train_clients.tolist() == [0, 0]
    message = refusal(tmp_path, "tinyshakespeare", file="play.txt", length=7)
    assert "none of 4 texts has 2 sequences of 7 characters, the longest has 13 characters; lower" in message


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_do_not_matter(tmp_path, ends):
    one, other = (plays(tmp_path, text, length=3) for text in (PLAY, PLAY.replace("\n", ends)))
    assert one.classes == other.classes
    assert np.array_equal(one.train_inputs, other.train_inputs)


def test_a_byte_order_mark_is_no_character(tmp_path):
    for folder, content in (("plain", PLAY.encode()), ("marked", b"\xef\xbb\xbf" + PLAY.encode())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "play.txt").write_bytes(content)
        settings = {"file": "play.txt", "length": 3}
        prepare_dataset(
            "words", Plugin("tinyshakespeare", settings), tmp_path / folder, tmp_path / folder / "out"
        )
    one, other = (open_dataset(tmp_path / folder / "out") for folder in ("plain", "marked"))
    assert one.classes == other.classes and "\ufeff" not in other.classes
    assert np.array_equal(one.train_inputs, other.train_inputs)


def test_same_text_same_bytes(tmp_path):
    plays(tmp_path, length=3)
    for folder in ("one", "two"):
        settings = {"file": "play.txt", "length": 3}
        prepare_dataset("words", Plugin("tinyshakespeare", settings), tmp_path, tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    recorded = json.loads((tmp_path / "one/dataset.json").read_text())
    assert recorded["sources"] == {"play.txt": hashlib.md5(PLAY.encode()).hexdigest()}


# Plays


def test_a_missing_text_tells_what_to_do(tmp_path):
    message = refusal(tmp_path, "tinyshakespeare")
    assert f"{tmp_path / 'tinyshakespeare/input.txt'} not found" in message
    assert f"get {tinyshakespeare.ADDRESS}" in message and "data_root" in message


def test_text_that_is_no_play_is_refused(tmp_path):
    (tmp_path / "novel.txt").write_text("It was a dark and stormy night.\nThe rain fell.\n\nIn torrents.")
    message = refusal(tmp_path, "tinyshakespeare", file="novel.txt")
    assert "novel.txt: blocks of plays begin with a line `SPEAKER:`, found 'It was a dark and" in message
    (tmp_path / "noise.txt").write_bytes(b"\xff\xfe\x00")
    assert "noise.txt is no UTF-8 text" in refusal(tmp_path, "tinyshakespeare", file="noise.txt")
    (tmp_path / "silence.txt").write_text("ANNE:\n\nBONA:\n")
    assert "none of 2 texts" in refusal(tmp_path, "tinyshakespeare", file="silence.txt")


@pytest.mark.parametrize(
    ("plugin", "settings", "message"),
    [
        (tinyshakespeare, {"file": ""}, "file must name a text file of plays, got ''"),
        (tinyshakespeare, {"length": 0}, "length must be >= 1, got 0"),
        (tinyshakespeare, {"test_fraction": 0.0}, "test_fraction must be > 0 and < 1, got 0.0"),
        (tinyshakespeare, {"min_sequences": 1}, "min_sequences must be >= 2"),
        (sklearn_descriptions, {"length": 0}, "length must be >= 1, got 0"),
        (sklearn_descriptions, {"test_fraction": 1.0}, "test_fraction must be > 0 and < 1, got 1.0"),
        (leaf_text, {"folder": ""}, "folder must name a folder with"),
        (leaf_text, {"folder": "leaf", "every": 0}, "every must be >= 1, got 0"),
    ],
)
def test_settings_are_checked(plugin, settings, message):
    with pytest.raises(ValueError, match=message):
        plugin.Settings(**settings)


# Descriptions


def test_descriptions_are_the_installed_ones(tmp_path):
    documents = {
        path.name: path.read_text(encoding="utf-8")
        for path in resources.files("sklearn.datasets.descr").iterdir()
        if path.name.endswith(".rst")
    }
    opened = prepared(tmp_path, "sklearn-descriptions")
    assert opened.shape == (32,) and opened.classes == tuple(sorted(set("".join(documents.values()))))
    assert any(not character.isascii() for character in opened.classes)
    for client, name in enumerate(sorted(documents)):
        together = "".join(decoded(opened, opened.train_inputs[opened.train_clients == client]))
        assert documents[name].startswith(together) and len(together) > 0.7 * len(documents[name])
    assert opened.train_clients.max() + 1 == len(documents) > 10


def test_clients_and_proxy_share_a_vocabulary_and_no_text(tmp_path):
    whole, clients, proxy = (
        prepared(tmp_path, "sklearn-descriptions", part=part) for part in ("all", "clients", "proxy")
    )
    assert whole.classes == clients.classes == proxy.classes

    def texts(opened):
        owners = range(opened.train_clients.max() + 1)
        return {"".join(decoded(opened, opened.train_inputs[opened.train_clients == one])) for one in owners}

    assert texts(clients) | texts(proxy) == texts(whole) and not texts(clients) & texts(proxy)
    assert len(texts(proxy)) == round(len(texts(whole)) / 3)
    speakers = "".join(f"S{i}:\n{'ab' * 20}{i}\n\n" for i in range(6))
    counts = [
        plays(tmp_path, speakers, length=4, part=part).train_clients.max() + 1
        for part in ("clients", "proxy")
    ]
    assert counts == [4, 2]


# LEAF


def window(text: str, length: int) -> dict[str, list[str]]:
    """Samples as LEAF cuts them: a window that moves by one character, and what follows it."""
    count = len(text) - length
    return {
        "x": [text[start : start + length] for start in range(count)],
        "y": [text[start + length] for start in range(count)],
    }


@pytest.fixture
def leaf(tmp_path):
    folder = tmp_path / "leaf"
    silent = {"x": [], "y": []}
    write_leaf(folder, "train", "b", leaf_file({"zoe": window("to be or", 4), "silent": silent}))
    write_leaf(folder, "train", "a", leaf_file({"adam": window("not to", 4)}))
    lists = {"x": [list("x be")], "y": ["!"]}
    write_leaf(folder, "test", "a", leaf_file({"zoe": window("that is", 4), "unknown": lists}))
    return folder


def test_leaf_samples_have_a_label_at_every_place(tmp_path, leaf):
    opened = prepared(tmp_path, "leaf-text", folder="leaf")
    assert decoded(opened, opened.train_inputs) == ["not ", "ot t", "to b", "o be", " be ", "be o"]
    assert decoded(opened, opened.train_labels) == ["ot t", "t to", "o be", " be ", "be o", "e or"]
    assert opened.train_clients.tolist() == [0, 0, 1, 1, 1, 1]
    assert decoded(opened, opened.test_inputs) == ["x be", "that", "hat ", "at i"]
    assert decoded(opened, opened.test_labels)[0] == " be!"
    assert opened.classes == tuple(sorted(set("to be or not to that is x be !")))
    recorded = json.loads(next(tmp_path.glob("out*/dataset.json")).read_text())
    assert sorted(recorded["sources"]) == ["leaf/test/a.json", "leaf/train/a.json", "leaf/train/b.json"]
    content = (leaf / "train/b.json").read_bytes()
    assert recorded["sources"]["leaf/train/b.json"] == hashlib.md5(content).hexdigest()


def test_every_so_many_leaf_samples_of_each_user(tmp_path, leaf):
    opened = prepared(tmp_path, "leaf-text", folder="leaf", every=3)
    assert decoded(opened, opened.train_inputs) == ["not ", "to b", "be o"]
    assert decoded(opened, opened.test_inputs) == ["x be", "that"]


def test_a_carriage_return_in_leaf_text_is_a_line_end(tmp_path, leaf):
    """A CSV of classes would not keep it apart."""
    write_leaf(leaf, "train", "c", leaf_file({"zoe": {"x": ["a\rb\n"], "y": ["\r"]}}))
    opened = prepared(tmp_path, "leaf-text", folder="leaf")
    assert "\r" not in opened.classes
    assert decoded(opened, opened.train_labels)[-1] == "\nb\n\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "user_data: missing, or not an object"),
        ({"user_data": {}}, "users: missing, or not a list"),
        (leaf_file({}, users=["adam"]), "user_data.adam: missing, or not an object"),
        (leaf_file({"adam": {"y": ["a"]}}), "user_data.adam.x: missing, or not a list"),
        (leaf_file({"adam": {"x": ["ab", "bc"], "y": ["c"]}}), "user_data.adam: 2 in x and 1 in y"),
        (
            leaf_file({"adam": {"x": [[0.5, 1.0]], "y": ["c"]}}),
            "user_data.adam: x and y must be lists of text",
        ),
        (leaf_file({"adam": {"x": ["ab"], "y": [7]}}), "user_data.adam: x and y must be lists of text"),
        (
            leaf_file({"adam": {"x": ["ab", "b"], "y": ["c", "c"]}}),
            "adam.x: samples of 2 and of 1 characters",
        ),
        (leaf_file({"adam": {"x": [""], "y": ["c"]}}), "adam.x: samples of 0 and of 0 characters"),
        (leaf_file({"adam": {"x": ["ab"], "y": ["\n\n"]}}), r"adam.y: '\n\n', where one character is wanted"),
    ],
)
def test_a_wrong_leaf_file_is_named_with_the_key(tmp_path, leaf, content, message):
    write_leaf(leaf, "test", "wrong", content)
    found = refusal(tmp_path, "leaf-text", folder="leaf")
    assert f"{leaf / 'test/wrong.json'}: " in found and message in found


def test_leaf_files_that_do_not_go_together_are_refused(tmp_path, leaf):
    (leaf / "test/a.json").write_text('{"users": [')
    assert f"{leaf / 'test/a.json'}: not valid JSON" in refusal(tmp_path, "leaf-text", folder="leaf")
    write_leaf(leaf, "test", "a", leaf_file({"zoe": window("that is", 5)}))
    assert "leaf: samples of 4 and of 5 characters" in refusal(tmp_path, "leaf-text", folder="leaf")
    write_leaf(leaf, "test", "a", leaf_file({}))
    assert "no user has a sample in train, or none in test" in refusal(tmp_path, "leaf-text", folder="leaf")
    (leaf / "test/a.json").unlink()
    message = refusal(tmp_path, "leaf-text", folder="leaf")
    assert f"no {leaf / 'test'}/*.json found" in message and "preprocess.sh" in message


# Partitions of sequences


@pytest.fixture
def awkward(tmp_path):
    """Three speakers with 4, 6 and 9 sequences of awkward characters."""
    said = {"ANNE": 5 * 5 + 1, "BONA": 7 * 5 + 1, "CLIFFORD": 10 * 5 + 1}
    lines = AWKWARD.replace("\n", "x\nx") * 9
    text = "\n\n".join(f"{speaker}:\n{lines[:characters]}" for speaker, characters in said.items())
    return plays(tmp_path, text, length=5, test_fraction=0.1), next(tmp_path.glob("out*"))


def partitioned(tmp_path, folder, scheme, clients=None, **settings):
    make_partition(
        dataset=folder, scheme=Plugin(scheme, settings), clients=clients, partition_seed=0,
        samples=UsedSamples(seed=0), identity={"partition": "p"}, npz=tmp_path / "p.npz", csv=tmp_path / "p.csv",
    )  # fmt: skip
    return open_partition(tmp_path / "p.npz", open_dataset(folder)), read_csv(tmp_path / "p.csv")


def test_natural_clients_of_text(tmp_path, awkward):
    opened, folder = awkward
    partition, table = partitioned(tmp_path, folder, "natural")
    assert [len(part) for part in partition.clients] == [4, 6, 9]
    for client, part in enumerate(partition.clients):
        assert (opened.train_clients[part] == client).all()
        of_client = table[table["client"] == client]
        counts = np.bincount(opened.train_labels[part].ravel(), minlength=len(opened.classes))
        assert of_client["samples"].tolist() == counts.tolist()
        assert tuple(of_client["class_name"]) == opened.classes, "no character is lost in the CSV"
    assert set(AWKWARD) <= set(opened.classes)


@pytest.mark.parametrize(("scheme", "settings"), [("iid", {}), ("quantity", {"beta": 5.0, "min_size": 2})])
def test_sequences_are_dealt_without_looking_at_them(tmp_path, awkward, scheme, settings):
    opened, folder = awkward
    partition, _ = partitioned(tmp_path, folder, scheme, clients=3, **settings)
    assert np.array_equal(np.sort(np.concatenate(partition.clients)), np.arange(len(opened.train_labels)))


@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("dirichlet", {"alpha": 0.5}),
        ("dirichlet-per-class", {"alpha": 0.5}),
        ("shards", {}),
        ("labels-per-client", {"labels": 1}),
    ],
)
def test_schemes_that_deal_by_label_refuse_sequences(tmp_path, awkward, scheme, settings):
    with pytest.raises(FedscapeError, match="by label, of which a sequence has many; use iid") as error:
        partitioned(tmp_path, awkward[1], scheme, clients=2, **settings)
    assert "\n" not in str(error.value) and not (tmp_path / "p.npz").exists()
