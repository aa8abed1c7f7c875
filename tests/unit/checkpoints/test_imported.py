"""Models that were trained elsewhere, in the files that a run of ours has."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from broken_input import refusal
from safetensors.torch import save_file
from small_run import IDENTITY, OUTPUTS, prepare, run_once

from fedscape.checkpoints.imported import ImportedFiles, import_run, renamed
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.plugins import Plugin
from fedscape.settings.imports import ImportedModels

SMALL = {"blocks": [1, 1, 1], "width": 4}
SMALL_RESNET = Plugin("resnet", SMALL)
COUNTER = "norm.num_batches_tracked"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, dict[str, Path]]:
    """The folder of a run of ours, and its files."""
    folder = tmp_path_factory.mktemp("trained")
    prepare(folder, "resnet", model_settings=SMALL)
    files = run_once(folder, "resnet", model_settings=SMALL, client_paths=False, rounds=3)
    return folder, files


def models(files: dict[str, Path]) -> tuple[dict, dict]:
    """State_dicts of the global models by round, and of clients' by round and number."""
    trajectory, clients = Trajectory.open(files["trajectory"]), ClientModels.open(files["clients"])

    def state(vectors: torch.Tensor, buffers: dict) -> dict:
        names = [name for name, _ in trajectory.layout.parameters]
        shapes = dict(trajectory.layout.parameters)
        sizes = [torch.Size(shapes[name]).numel() for name in names]
        parts = zip(names, vectors.split(sizes), strict=True)
        return {**{name: part.view(shapes[name]).clone() for name, part in parts}, **buffers}

    of_rounds = {
        number: state(trajectory.parameters(number), trajectory.buffers(number))
        for number in trajectory.rounds
    }
    of_clients = {
        (number, client): state(clients.parameters(number, client), clients.buffers(number, client))
        for number in clients.rounds
        for client in clients.clients(number).tolist()
    }
    return of_rounds, of_clients


def imported(
    folder: Path,
    paths: list,
    client_paths: list,
    numbers: list,
    clients: list,
    names: tuple = (),
    model: Plugin = SMALL_RESNET,
) -> dict[str, Path]:
    """The files of an imported run."""
    files = {name: folder / "imported" / file for name, file in OUTPUTS.items()}
    for file in files.values():
        file.unlink(missing_ok=True)
    files["run"].parent.mkdir(exist_ok=True)
    import_run(
        identity=IDENTITY,
        model=model,
        dataset=folder / "data",
        files=ImportedFiles(paths, client_paths),
        imported=ImportedModels(numbers, [list(key) for key in clients], [list(pair) for pair in names]),
        outputs=RunOutputs(**files),
        fingerprint="0",
    )
    return files


def test_a_weight_with_two_names_may_stand_once_in_a_file(tmp_path, monkeypatch):
    """As in the files of runs of ours, and in what safetensors' `save_model` writes."""
    monkeypatch.chdir(tmp_path)
    text = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    text += "        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)\n"
    text += "        self.second.weight, self.head = self.first.weight, nn.Linear(64, 3)\n\n"
    text += "    def forward(self, x):\n        return self.head(self.second(self.first(x.flatten(1))))\n"
    (tmp_path / "tied.py").write_text(text)
    model = {"module": "tied.py:Net"}
    prepare(tmp_path, "module", model_settings=model)
    files = run_once(tmp_path, "module", model_settings=model, client_paths=False, rounds=3)
    both = Trajectory.open(files["trajectory"]).state(3)[0]
    rest = {name: tensor for name, tensor in both.items() if name != "first.weight"}
    for kept in ("first", "second"):
        save_file({**rest, f"{kept}.weight": both["first.weight"]}, tmp_path / f"{kept}.safetensors")
    for paths in ([files["trajectory"]], [tmp_path / "first.safetensors"], [tmp_path / "second.safetensors"]):
        out = imported(tmp_path, paths, [], [3], [], model=Plugin("module", model))
        assert out["final"].read_bytes() == files["final"].read_bytes()


def one_each(folder: Path, states: dict) -> list[Path]:
    """A file for each state_dict, as PyTorch's loops save them: more beside it, and all below `module`."""
    paths = [folder / f"{'-'.join(map(str, [key]))}.pt" for key in states]
    for path, state in zip(paths, states.values(), strict=True):
        torch.save({"model": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}, path)
    return paths


def all_in_one(path: Path, states: dict) -> list[Path]:
    """One file of all state_dicts."""
    entries = {}
    for key, state in states.items():
        start = "/".join(map(str, key if isinstance(key, tuple) else (key,)))
        entries |= {f"{start}/{name}": value.contiguous() for name, value in state.items()}
    save_file(entries, path)
    return [path]


@pytest.mark.parametrize("together", [False, True])
def test_an_imported_run_of_ours_has_the_same_bytes(trained, together, tmp_path):
    folder, files = trained
    of_rounds, of_clients = models(files)
    names = ()
    if together:
        paths, client_paths = (
            all_in_one(tmp_path / f"{i}.safetensors", states)
            for i, states in enumerate((of_rounds, of_clients))
        )
    else:
        paths, client_paths = one_each(tmp_path, of_rounds), one_each(tmp_path, of_clients)
        names = (("module", ""),)
    out = imported(folder, paths, client_paths, list(of_rounds), list(of_clients), names)
    for name in ("trajectory", "clients", "final"):
        assert out[name].read_bytes() == files[name].read_bytes(), name


def test_the_files_of_a_run_of_ours_are_imported_as_they_are(trained):
    folder, files = trained
    of_rounds, of_clients = models(files)
    out = imported(folder, [files["trajectory"]], [files["clients"]], list(of_rounds), list(of_clients))
    for name in ("trajectory", "clients", "final"):
        assert out[name].read_bytes() == files[name].read_bytes(), name
    assert "round 9 is not kept" in refusal(imported, folder, [files["trajectory"]], [], [9], [])


def test_what_our_own_runs_alone_have_is_empty(trained, tmp_path):
    folder, files = trained
    of_rounds, _ = models(files)
    paths = [tmp_path / "round-7.safetensors"]
    write_weights(paths[0], of_rounds[2])
    out = imported(folder, paths, [], [7], [])
    rounds, timing = pd.read_csv(out["rounds"]), pd.read_csv(out["timing"])
    assert rounds["round"].tolist() == timing["round"].tolist() == [7]
    measured = [name for name in rounds if name not in (*IDENTITY, "round", "diverged")]
    assert rounds[measured].isna().all(axis=None) and not rounds["diverged"].any()
    assert timing.drop(columns=[*IDENTITY, "round"]).isna().all(axis=None)
    assert Trajectory.open(out["trajectory"]).rounds == (7,)
    assert ClientModels.open(out["clients"]).rounds == ()
    assert json.loads(out["run"].read_text())["models"] == [str(paths[0])]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("conv.weight"), "lacks conv.weight (1 such names, the model has "),
        (lambda state: state.update(extra=torch.ones(1)), "has unknown extra (1 such names, the model has "),
        (
            lambda state: state.update({"conv.weight": torch.ones(2, 3)}),
            "conv.weight has shape (2, 3), the model's has (4, 1, 3, 3)",
        ),
        (lambda state: state["conv.weight"].fill_(float("nan")), "a weight is NaN or infinite"),
        (
            lambda state: state.update({COUNTER: torch.tensor(True)}),
            f"{COUNTER} holds torch.bool, the model's is torch.int64",
        ),
        (
            lambda state: state.update({COUNTER: torch.tensor(1j)}),
            f"{COUNTER} holds torch.complex64, the model's is torch.int64",
        ),
        *(
            (
                lambda state, number=number: state.update({COUNTER: torch.tensor(number)}),
                f"{COUNTER} holds {number:g}, expected a whole number of 64 bits",
            )
            for number in (float("nan"), float("-inf"), 2.0**63)
        ),
    ],
)
def test_a_model_of_another_kind_is_named(trained, change, said, tmp_path):
    folder, files = trained
    of_rounds, _ = models(files)
    change(of_rounds[1])
    paths = [tmp_path / f"{number}.safetensors" for number in of_rounds]
    for path, state in zip(paths, of_rounds.values(), strict=True):
        write_weights(path, state)
    message = refusal(imported, folder, paths, [], list(of_rounds), [])
    assert message.startswith(f"{paths[1]}: {said}")


def test_a_wrapper_s_prefix_is_told_with_what_takes_it_away(trained, tmp_path):
    folder, files = trained
    of_rounds, _ = models(files)
    paths = one_each(tmp_path, {1: of_rounds[1]})
    said = refusal(imported, folder, paths, [], [3], [])
    assert said.endswith(
        '1.pt: all names begin with module., as the network\'s do not; add `map: {module: ""}`'
    )


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_numbers_of_other_types_are_stored_as_32_bits(trained, kind, tmp_path):
    """Also counters that were saved as floats, as averages of them are."""
    folder, files = trained
    of_rounds, _ = models(files)
    state = {name: tensor.to(kind) for name, tensor in of_rounds[2].items()}
    torch.save(state, tmp_path / "2.pt")
    out = Trajectory.open(imported(folder, [tmp_path / "2.pt"], [], [2], [])["trajectory"])
    parameters, buffers = out.state(2)
    for name, tensor in {**parameters, **buffers}.items():
        expected = of_rounds[2][name].to(kind)
        assert torch.equal(tensor, expected.to(tensor.dtype)), name


def test_files_that_are_no_models_are_lines(trained, tmp_path):
    folder, files = trained
    of_rounds, _ = models(files)
    path = tmp_path / "1.safetensors"
    write_weights(path, of_rounds[1])
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a whole file of weights" in refusal(imported, folder, [path], [], [1], [])
    for content in (["a list"], {"epoch": 3}, {"model": {"weight": "text"}}):
        torch.save(content, tmp_path / "1.pt")
        assert "holds no state_dict" in refusal(imported, folder, [tmp_path / "1.pt"], [], [1], [])
    huge = {**of_rounds[1], "conv.weight": of_rounds[1]["conv.weight"].double() + 1e300}
    torch.save(huge, tmp_path / "1.pt")
    assert "a weight is NaN or infinite" in refusal(imported, folder, [tmp_path / "1.pt"], [], [1], [])


def test_the_longest_beginning_in_whole_parts_is_renamed():
    tensors = {name: torch.ones(1) for name in ("base.conv1.weight", "base.conv10.weight", "head.bias", "x")}
    names = {"base": "", "base.conv1": "stem", "head": "fc", "x": None}
    assert list(renamed(tensors, names, "a.pt")) == ["stem.weight", "conv10.weight", "fc.bias"]
    assert list(renamed({"a": torch.ones(1)}, {"": "net"}, "a.pt")) == ["net.a"]
    both = {"a.w": torch.ones(1), "b.w": torch.ones(1)}
    said = refusal(renamed, both, {"a": "b"}, "a.pt")
    assert said == "a.pt: a.w and b.w are both called b.w by `map`"


def test_a_file_that_holds_itself_is_refused(tmp_path):
    content: dict = {"model": {}}
    content["model"]["model"] = content
    torch.save(content, tmp_path / "a.pt")
    assert "holds no state_dict" in refusal(read_weights, tmp_path / "a.pt", wrapped=True)
