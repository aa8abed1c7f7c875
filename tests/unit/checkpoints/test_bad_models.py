"""Files of weights, trajectories and planes that are damaged, foreign or made up."""

import json
import struct

import pytest
import torch
from broken_input import GONE, changed, refusal
from model_files import LAYOUT, MODULE, WEIGHTS, plane
from safetensors.torch import save

from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.state_dicts import check_weights, read_weights
from fedscape.checkpoints.writer import clients_writer, trajectory_writer
from fedscape.landscape.plane import open_plane, save_plane

# A user's own weights


def safetensors_file(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


ENTRY = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
FILES = {
    "empty": b"",
    "text": b"lr,loss\n0.1,2.3\n",
    "a header that is cut off": safetensors_file(ENTRY)[:20],
    "a header without an end": struct.pack("<Q", 2**63) + ENTRY,
    "a header that is no JSON": safetensors_file(b"{'a': 1}"),
    "a header that is a list": safetensors_file(b"[]"),
    "data that is cut off": safetensors_file(ENTRY, b"\0\0"),
    "too much data": safetensors_file(ENTRY, b"\0" * 8),
    "data elsewhere": safetensors_file(ENTRY.replace(b"[0,4]", b"[4,8]"), b"\0" * 8),
    "a shape of another size": safetensors_file(ENTRY.replace(b"[1]", b"[2]"), b"\0" * 4),
    "a shape below zero": safetensors_file(ENTRY.replace(b"[1]", b"[-1]"), b"\0" * 4),
    "an unknown type": safetensors_file(ENTRY.replace(b"F32", b"X32"), b"\0" * 4),
    "a zip of nothing": b"PK\x05\x06" + b"\0" * 18,
    "a zip": b"PK\x03\x04" + b"\0" * 60,
    "a tar": b"data".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 248 + b"\0" * 1024,
    "a pickle that is cut off": b"\x80\x02}q\x00(X\x01",
    "a pickle of nothing": b"\x80\x02N.",
    "half of HDF5": b"\x89HDF\r\n\x1a\n" + b"\0" * 100,
}


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth"])
@pytest.mark.parametrize("case", FILES)
def test_a_file_without_weights_is_named(tmp_path, suffix, case):
    path = tmp_path / f"mine.{suffix}"
    path.write_bytes(FILES[case])
    said = refusal(read_weights, path)
    assert said.startswith(f"{path}: ") and (
        "not a whole file of weights (" in said or "no state_dict" in said
    )


def test_a_refusal_repeats_no_advice_to_read_the_file_anyway(tmp_path):
    path = tmp_path / "mine.pt"
    for save_it in (
        lambda: torch.save(MODULE, path),
        lambda: path.write_bytes(FILES["a tar"]),
    ):
        save_it()
        assert refusal(read_weights, path) == (
            f"{path}: not a whole file of weights (cut off, or other things than tensors in it); get it again"
        )


def test_a_folder_of_weights_is_no_file(tmp_path):
    assert refusal(read_weights, tmp_path) == f"{tmp_path}: no such file of weights"


TORCH = {
    "a tensor": torch.zeros(2),
    "a list": [torch.zeros(2)],
    "numbers": {"a": 1.0},
    "a state_dict within": {"state_dict": WEIGHTS, "epoch": 3},
    "names that are numbers": {0: torch.zeros(2)},
    "a sparse tensor": {"a": torch.zeros(2, 2).to_sparse()},
    "a tensor without values": {"a": torch.zeros(2, device="meta")},
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("case", TORCH)
def test_a_torch_file_of_something_else_is_named(tmp_path, case):
    path = tmp_path / "mine.pt"
    torch.save(TORCH[case], path)
    said = refusal(read_weights, path)
    assert said == f"{path}: holds no state_dict (a mapping of names to dense tensors with values)"


OTHERS = {
    "nothing": ({}, "lacks 0.weight, 0.bias, 1.weight, ... (7 such names, the model has 7)"),
    "one more": ({**WEIGHTS, "head.weight": torch.zeros(1)}, "has unknown head.weight (1 such names, the model has 7)"),
    "a shape": ({**WEIGHTS, "0.bias": torch.zeros(4, 1)}, "0.bias has shape (4, 1), the model's has (4,)"),
    "a number for a vector": ({**WEIGHTS, "0.bias": torch.tensor(1.0)}, "0.bias has shape (), the model's has (4,)"),
    "whole numbers": ({**WEIGHTS, "0.bias": torch.zeros(4, dtype=torch.int8)}, "0.bias holds torch.int8, the model's is torch.float32"),
    "truths": ({**WEIGHTS, "0.bias": torch.zeros(4, dtype=torch.bool)}, "0.bias holds torch.bool"),
    "complex numbers": ({**WEIGHTS, "0.bias": torch.zeros(4, dtype=torch.complex64)}, "0.bias holds torch.complex64"),
    "a name over two lines": ({**WEIGHTS, "a\nb": torch.zeros(1)}, "has unknown a\\nb ("),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_weights_of_another_model_are_named(case):
    tensors, message = OTHERS[case]
    assert refusal(check_weights, MODULE, tensors, "mine.pt").startswith(f"mine.pt: {message}")


def test_weights_in_other_precisions_are_taken():
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        check_weights(MODULE, {**WEIGHTS, "0.bias": torch.zeros(4, dtype=dtype)}, "mine.pt")
    # Code that averages state_dicts turns counters into fractions.
    check_weights(MODULE, {**WEIGHTS, "1.num_batches_tracked": torch.tensor(1.5)}, "mine.pt")


# What runs hand to the analyses


def described(path, kind: str):
    """The metadata and tensors of a file of models, as a run would have written it."""
    if kind == "trajectory":
        trajectory_writer(path, LAYOUT, [0, 2]).close()
    else:
        clients_writer(path, LAYOUT, [1, 2], participants=3, path_points=2).close()
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return header.pop("__metadata__"), read_weights(path)


METADATA = {
    "no metadata": ("", None, "metadata kind is None, not"),
    "another kind": ("kind", "plane", "metadata kind is plane, not"),
    "no layout": ("layout", GONE, "'layout'"),
    "a layout that is no JSON": ("layout", "{", "Expecting"),
    "a layout that is a list": ("layout", "[]", "missing 3 required positional arguments"),
    "a layout of other parts": ("layout", '{"weights": []}', "unexpected keyword argument 'weights'"),
    "a layout of numbers": ("layout", json.dumps({"parameters": [[1, [3]]], "buffers": [], "counters": []}), "no name and shape: 1, (3,)"),
    "a shape of text": ("layout", json.dumps({"parameters": [["a", ["3"]]], "buffers": [], "counters": []}), "no name and shape: a"),
    "a shape below zero": ("layout", json.dumps({"parameters": [["a", [-3, -8]]], "buffers": [], "counters": []}), "no name and shape: a, (-3, -8)"),
    "a smaller model": ("layout", json.dumps({"parameters": [["a", [3]]], "buffers": [], "counters": []}), "parameters is F32 ["),
    "no rounds": ("rounds", GONE, "'rounds'"),
    "rounds that are no list": ("rounds", "2", "'int' object is not iterable"),
    "rounds of text": ("rounds", '["0", "2"]', "a round that is no whole number"),
    "rounds of lists": ("rounds", "[[0], [2]]", "a round that is no whole number"),
    "rounds of truths": ("rounds", "[true, false]", "a round that is no whole number"),
    "too few rounds": ("rounds", "[0]", "is "),
    "too many rounds": ("rounds", "[0, 1, 2]", "is "),
    "a round twice": ("rounds", "[1, 1]", "rounds that do not ascend"),
    "rounds that descend": ("rounds", "[2, 1]", "rounds that do not ascend"),
    "rounds too deep": ("rounds", "[" * 100_000, "maximum recursion depth exceeded"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["trajectory", "clients"])
@pytest.mark.parametrize("case", METADATA)
def test_made_up_metadata_is_refused(tmp_path, kind, case):
    key, value, message = METADATA[case]
    metadata, tensors = described(tmp_path / "whole.safetensors", kind)
    path = tmp_path / f"{kind}.safetensors"
    path.write_bytes(save(tensors, changed(metadata, key, value) if key else None))
    said = refusal((Trajectory if kind == "trajectory" else ClientModels).open, path)
    assert said.startswith(f"{path}: not a whole {kind} file (") and message in said
    assert said.endswith("; delete the file to have it rebuilt")


TENSORS = {
    "no parameters": ("parameters", lambda tensor: None),
    "another type": ("parameters", torch.Tensor.double),
    "half precision": ("parameters", torch.Tensor.bfloat16),
    "counters that are fractions": ("counters", torch.Tensor.float),
    "one dimension more": ("buffers", lambda tensor: tensor[..., None]),
    "one row less": ("parameters", lambda tensor: tensor[1:]),
    "one number less": ("parameters", lambda tensor: tensor[..., 1:]),
    "a single number": ("buffers", lambda tensor: torch.tensor(1.0)),
}


@pytest.mark.parametrize("kind", ["trajectory", "clients"])
@pytest.mark.parametrize("case", TENSORS)
def test_made_up_tensors_are_refused(tmp_path, kind, case):
    name, change = TENSORS[case]
    metadata, tensors = described(tmp_path / "whole.safetensors", kind)
    tensors[name] = change(tensors[name])
    path = tmp_path / f"{kind}.safetensors"
    kept = {key: tensor.contiguous() for key, tensor in tensors.items() if tensor is not None}
    path.write_bytes(save(kept, metadata))
    said = refusal((Trajectory if kind == "trajectory" else ClientModels).open, path)
    assert said.startswith(f"{path}: not a whole {kind} file (") and name in said


@pytest.mark.parametrize("name", ["clients", "path_parameters"])
def test_clients_without_numbers_or_ways_are_refused(tmp_path, name):
    metadata, tensors = described(tmp_path / "whole.safetensors", "clients")
    tensors[name] = tensors[name][..., :1].contiguous()
    path = tmp_path / "clients.safetensors"
    path.write_bytes(save(tensors, metadata))
    assert f"{path}: not a whole clients file (" in refusal(ClientModels.open, path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["parameters", "buffers"])
def test_models_that_are_not_finite_are_refused_wherever_they_are_read(tmp_path, name, value):
    """No run keeps one: what diverges ends at its last finite round."""
    paths = {kind: tmp_path / f"{kind}.safetensors" for kind in ("trajectory", "clients")}
    for kind, path in paths.items():
        metadata, tensors = described(path, kind)
        tensors[name][-1, ..., -1] = value
        path.write_bytes(save(tensors, metadata))
    trajectory, clients = Trajectory.open(paths["trajectory"]), ClientModels.open(paths["clients"])
    trajectory.state(0), clients.parameters(1, 0), clients.buffers(1, 0)  # which are finite
    said = [refusal(trajectory.state, 2)]
    if name == "parameters":
        said += [refusal(trajectory.columns, 0, LAYOUT.parameter_count), refusal(clients.parameters, 2, 0)]
    else:
        said += [refusal(clients.buffers, 2, 0)]
    for line in said:
        path = paths["trajectory" if "trajectory file" in line else "clients"]
        assert line.startswith(f"{path}: not a whole ") and f"({name} that are NaN or infinite" in line
        assert line.endswith("; delete the file to have it rebuilt")


# Planes

PLANES = {
    "no metadata": (lambda about, _: about.clear(), "'plane'"),
    "no layout": (lambda about, _: about.pop("layout"), "'layout'"),
    "no box": (lambda about, _: about.pop("box"), "'box'"),
    "no centre": (lambda _, tensors: tensors.pop("centre"), "centre"),
    "a shorter centre": (lambda _, tensors: tensors.update(centre=torch.zeros(3)), "centre is torch.float32 [3]"),
    "whole numbers": (lambda _, tensors: tensors.update(directions=torch.zeros(2, 24, dtype=int)), "directions is torch.int64 [2, 24]"),
    "a single number": (lambda _, tensors: tensors.update(buffers=torch.tensor(0.0)), "floats is torch.float32 [], not of its layout"),
    "a third direction": (lambda _, tensors: tensors.update(directions=torch.eye(3, 24)), "directions is torch.float32 [3, 24]"),
    "NaN": (lambda _, tensors: tensors["directions"].fill_(torch.nan), "directions is NaN or infinite"),
    "a box of three": (lambda about, _: about.update(box=[0, 1, 2]), "box: [0, 1, 2] is not 4 numbers"),
    "a box of text": (lambda about, _: about.update(box="here"), "box: here is not 4 numbers"),
    "a box without an end": (lambda about, _: about.update(box=[0, float("inf"), 0, 1]), "box: [0, inf, 0, 1] is not 4 numbers"),
    "a share that is text": (lambda about, _: about.update(explained=["most", 0]), "explained: ['most', 0] is not 2 numbers"),
    "axes of another type": (lambda about, _: about.update(axes=3), "axes: 3 is no text"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANES)
def test_a_made_up_plane_is_refused(tmp_path, case):
    change, message = PLANES[case]
    path = tmp_path / "plane.safetensors"
    save_plane(path, plane(LAYOUT))
    tensors = read_weights(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["plane"])
    change(about, tensors)
    path.write_bytes(save(tensors, {"plane": json.dumps(about)} if about else None))
    said = refusal(open_plane, path)
    assert said.startswith(f"{path}: not a whole plane (") and message in said


@pytest.mark.parametrize("content", [b"", b"x,y\n0,0\n", FILES["data that is cut off"]])
def test_a_file_that_is_no_plane_is_named(tmp_path, content):
    path = tmp_path / "plane.safetensors"
    path.write_bytes(content)
    assert refusal(open_plane, path).startswith(f"{path}: not a whole plane (")
