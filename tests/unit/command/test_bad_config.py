"""The user's settings, from a file or the command line, wrong in every way."""

import pytest
from broken_input import USER, Repository, refusal

from fedscape.command.repository import check_settings_files, read_settings

FOLDER = {"kind": "image-folder", "folder": "mine"}
PLAYS = {"kind": "tinyshakespeare"}

REFUSED = [
    ({"study": None}, "study: got None, expected text"),
    ({"study": 5}, "study: got 5, expected text"),
    ({"study": ["pilot"]}, "study: got ['pilot'], expected text"),
    ({"study": "../pilot"}, "study: unknown study '../pilot'; did you mean 'pilot'? allowed: pilot"),
    ({"study": "pilot\n"}, "study: unknown study 'pilot\\n'; did you mean 'pilot'? allowed: pilot"),
    ({"study": ""}, "study: unknown study ''; allowed: pilot"),
    ({"scale": True}, "scale: got True, expected text"),
    ({"scale": ".."}, "scale: unknown scale '..'; allowed: paper, smoke"),
    ({"data_root": None}, "data_root: got None, expected text"),
    ({"data_root": ["data"]}, "data_root: got ['data'], expected text"),
    ({"results": "/elsewhere"}, "unknown key 'results'; allowed: study, scale, data_root, datasets"),
    ({"datasets": None}, "datasets: got None, expected keys and values"),
    ({"datasets": ["mine"]}, "datasets: got ['mine'], expected keys and values"),
    ({"datasets": {"mine": None}}, "datasets.mine: got None, expected keys and values"),
    ({"datasets": {"mine": {}}}, "datasets.mine: key 'kind' is missing"),
    ({"datasets": {"../mine": FOLDER}}, "datasets: name '../mine' may hold only a-z, 0-9, '.' and '-'"),
    ({"datasets": {"mine/": FOLDER}}, "datasets: name 'mine/' may hold only"),
    ({"datasets": {"mine\n": FOLDER}}, "datasets: name 'mine\\n' may hold only"),
    ({"datasets": {"a" * 33: FOLDER}}, "and has at most 32 of them"),
    ({"datasets": {"mine": {"kind": 5}}}, "datasets.mine.kind: got 5, expected text"),
    ({"datasets": {"mine": {"kind": "../digits"}}}, "datasets.mine: unknown dataset '../digits'; did you mean 'digits'?"),
    ({"datasets": {"mine": {"kind": "image-folder"}}}, "datasets.mine: key 'folder' is missing"),
    ({"datasets": {"mine": {**FOLDER, "folder": 5}}}, "datasets.mine.folder: got 5, expected text"),
    ({"datasets": {"mine": {**FOLDER, "size": 0}}}, "datasets.mine: size must be >= 1 and <= 4096, got 0"),
    ({"datasets": {"mine": {**FOLDER, "size": "big"}}}, "datasets.mine.size: got 'big', expected a whole number"),
    ({"datasets": {"mine": {**FOLDER, "test_fraction": 1}}}, "datasets.mine: test_fraction must be > 0 and < 1, got 1.0"),
    ({"datasets": {"mine": {**FOLDER, "sice": 5}}}, "datasets.mine: unknown key 'sice'; did you mean 'size'? allowed: kind, resize, mean, std, folder, size, "),
    ({"datasets": {"mine": {**PLAYS, "part": "half"}}}, "datasets.mine.part: got 'half', expected one of all, clients, proxy"),
    ({"datasets": {"mine": {**PLAYS, "length": -1}}}, "datasets.mine: length must be >= 1, got -1"),
]  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_a_wrong_setting_is_named_with_its_key(repository, change, message):
    said = refusal(repository.read, config={**USER, **change})
    assert said.startswith("config") and message in said


@pytest.mark.parametrize("key", ["study", "scale", "data_root"])
def test_a_missing_setting_is_named(repository, key):
    config = {name: value for name, value in USER.items() if name != key}
    assert (
        refusal(repository.read, config=config) == f"config/config.yaml or --config: key '{key}' is missing"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("scale", "--config: got 'scale', expected key=value"),
        ("=paper", "--config: got '=paper', expected key=value"),
        ("scale=[paper", "--config scale:1: expected ',' or ']'"),
        ("scale=2026-13-45", "--config scale:1: '2026-13-45' is not allowed as timestamp"),
        ("scale=!!python/name:os.system", "--config scale:1: could not determine a constructor for the tag"),
    ],
)
def test_a_setting_of_a_command_is_named(tmp_path, monkeypatch, change, message):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("scale: smoke\n")
    monkeypatch.chdir(tmp_path)
    assert message in refusal(read_settings, None, [change])


def test_a_file_of_settings_of_a_command_is_named(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("scale: smoke\nscale: paper\n")
    monkeypatch.chdir(tmp_path)
    assert refusal(read_settings, None, []) == "config/config.yaml:2: key 'scale' stands twice"
    (tmp_path / "config" / "config.yaml").write_text("scale: smoke\n")
    assert refusal(read_settings, None, [], ["mine.yaml"]) == "mine.yaml: no such file"


def test_settings_files_are_plain_yaml(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    assert refusal(check_settings_files, []) == "config/config.yaml: no such file"
    (tmp_path / "mine.json").write_text("{")  # which Snakemake reads without a way to run code
    (tmp_path / "mine.yaml").write_text("scale: smoke\n")
    check_settings_files(["mine.yaml", "mine.json"])
    (tmp_path / "mine.yaml").write_text("__use_yte__: true\n")
    assert "mine.yaml: key '__use_yte__': templates run code" in refusal(check_settings_files, ["mine.yaml"])
    (tmp_path / "config" / "config.yaml").write_text("scale: [\n")
    assert refusal(check_settings_files, ["mine.json"]).startswith("config/config.yaml:2: ")
