"""Stage `import`: models that were trained elsewhere, in the files that a run of ours has."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import safe_open
from torch import Tensor, nn

from fedscape.checkpoints.format import VECTORS
from fedscape.checkpoints.layout import Layout, flatten, layout_of, parameters_of
from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.run_files import RunOutputs
from fedscape.checkpoints.state_dicts import load_weights, read_weights, write_weights
from fedscape.checkpoints.writer import clients_writer, trajectory_writer
from fedscape.columns.csvs import write_csv
from fedscape.columns.runs import ROUNDS_CSV, TIMING_CSV
from fedscape.data.storage import open_dataset
from fedscape.errors import FedscapeError
from fedscape.files import reading, write_json
from fedscape.models.build import random_model
from fedscape.plugins import Plugin
from fedscape.provenance import commit, versions
from fedscape.settings.imports import ImportedModels


@dataclass(frozen=True)
class ImportedFiles:
    """Files of the models, as `ImportedModels` lists these: one for each, or one for all."""

    models: Sequence[str | Path]
    client_models: Sequence[str | Path]


def import_run(
    *,
    identity: Mapping[str, object],
    model: Plugin,
    dataset: str | Path,
    files: ImportedFiles,
    imported: ImportedModels,
    outputs: RunOutputs,
    fingerprint: str,
) -> None:
    """Write the six files of a run whose models come from elsewhere.

    identity: identifying columns of the tables. dataset: folder of a prepared data set.
    `rounds.csv` and `timing.csv` have a row for each round, without measures: nobody saw them here. Raises
    FedscapeError, naming the file, for a model that is not one of the network's or not finite.
    """
    data = open_dataset(dataset)
    module = random_model(model.kind, dict(model.settings), data.shape, len(data.classes), seed=0)
    layout = layout_of(module)
    names = {str(theirs): own for theirs, own in imported.names}
    of_clients = _vectors(module, names, files.client_models, imported.clients)
    _write_clients(Path(outputs.clients), layout, imported.clients, of_clients)
    of_rounds = _vectors(module, names, files.models, [[number] for number in imported.rounds])
    with closing(trajectory_writer(Path(outputs.trajectory), layout, imported.rounds)) as writer:
        for row, vectors in enumerate(of_rounds):
            writer.write(row, None, **vectors)
        writer.flush()
    write_weights(outputs.final, module.state_dict())  # the last one that was read
    rows = pd.DataFrame([{**identity, "round": number, "diverged": False} for number in imported.rounds])
    for path, csv in ((outputs.rounds, ROUNDS_CSV), (outputs.timing, TIMING_CSV)):
        write_csv(path, rows.reindex(columns=csv.columns), csv.order)
    description = {
        "identity": dict(identity),
        "model": model.keys,
        "models": [str(path) for path in files.models],
        "client_models": [str(path) for path in files.client_models],
        "map": names,
        "parameters": layout.parameter_count,
        "rounds": imported.rounds[-1],
        "diverged": None,
        "fingerprint": fingerprint,
        **commit(),
        **versions(),
    }
    write_json(outputs.run, description)


def _write_clients(
    path: Path, layout: Layout, clients: Sequence[Sequence[int]], models: Iterator[Mapping[str, Tensor]]
) -> None:
    """Write clients' models, which come in the order of `clients`: round and number of each."""
    rounds: dict[int, list[int]] = {}
    for number, client in clients:
        rounds.setdefault(number, []).append(client)
    participants = max(map(len, rounds.values()), default=0)
    with closing(clients_writer(path, layout, list(rounds), participants)) as writer:
        for row, members in enumerate(rounds.values()):
            for position, client in enumerate(members):
                vectors = {"clients": np.array(client), **next(models)}
                writer.write(row, position, **vectors)
        writer.flush()


def _vectors(
    module: nn.Module,
    names: Mapping[str, str | None],
    paths: Sequence[str | Path],
    models: Sequence[Sequence[int]],
) -> Iterator[dict[str, Tensor]]:
    """The vectors of each model, one at a time; the module holds it.

    paths: of a file for each model, or of one for all. models: their numbers.
    """
    layout = layout_of(module)
    held = [models] if len(paths) == 1 else [[numbers] for numbers in models]  # by each file
    for path, own in zip(paths, held, strict=True):
        read = _reader(Path(path), len(own[0]))
        for numbers in own:
            source = f"{path}: {'/'.join(map(str, numbers))}" if len(own) > 1 else str(path)
            tensors = renamed(read(*numbers), names, source)
            _check_beginning(module, tensors, source)
            load_weights(module, _with_shared(module, tensors), source)
            vectors = flatten(dict([*module.named_parameters(), *module.named_buffers()]), layout)
            if not all(vector.isfinite().all() for vector in vectors):
                raise FedscapeError(f"{source}: a weight is NaN or infinite")
            yield dict(zip(VECTORS, vectors, strict=True))


def _check_beginning(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Refuse names that are the network's but for a first part that all share, as wrappers leave it."""
    starts = {name.partition(".")[0] for name in tensors}
    if len(starts) == 1 and {name.partition(".")[2] for name in tensors} == {*module.state_dict()}:
        start = starts.pop()
        raise FedscapeError(
            f'{source}: all names begin with {start}., as the network\'s do not; add `map: {{{start}: ""}}`'
        )


def _with_shared(module: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With each name of a parameter that has several: files may hold it once."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    shared = {
        name: tensors[known]
        for group in names.values()
        for known in [name for name in group if name in tensors][:1]
        for name in group
    }
    return {**shared, **tensors}


def _reader(path: Path, keys: int) -> Callable[..., dict[str, Tensor]]:
    """How the models in a file are read, by their numbers, of which each has `keys`.

    Those of a file of many are called `<round>/<name>` or `<round>/<client>/<name>`, but for a file of a run
    of ours; of another file the one model is read.
    """
    if path.suffix == ".safetensors" and path.is_file():
        with reading(path, "file of weights", "get it again"):
            file = safe_open(path, framework="pt")
            kind = (file.metadata() or {}).get("kind", "")
            if kind in _READERS:
                return _READERS[kind](path)
            names: dict[tuple[int, ...], dict[str, str]] = {}
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                *numbers, own = name.split("/", keys)
                if len(numbers) == keys and all(map(str.isdecimal, numbers)):
                    names.setdefault(tuple(map(int, numbers)), {})[own] = name
        if names:
            return lambda *numbers: {
                own: file.get_tensor(name) for own, name in names.get(numbers, {}).items()
            }
    return lambda *_: read_weights(path, wrapped=True)


def _trajectory_reader(path: Path) -> Callable[[int], dict[str, Tensor]]:
    trajectory = Trajectory.open(path)

    def read(number: int) -> dict[str, Tensor]:
        parameters, buffers = trajectory.state(number)
        return {**parameters, **buffers}

    return read


def _clients_reader(path: Path) -> Callable[[int, int], dict[str, Tensor]]:
    models = ClientModels.open(path)

    def read(number: int, client: int) -> dict[str, Tensor]:
        parameters = parameters_of(models.parameters(number, client), models.layout)
        return {**parameters, **models.buffers(number, client)}

    return read


_READERS: Mapping[str, Callable] = {Trajectory.kind: _trajectory_reader, ClientModels.kind: _clients_reader}
"""Readers of files of runs of ours by their kind."""


def renamed(
    tensors: Mapping[str, Tensor], names: Mapping[str, str | None], source: str | Path
) -> dict[str, Tensor]:
    """A state_dict with its entries called as the network calls them.

    names: the beginning of an entry's name, in whole parts between dots ("" is that of all), and what stands
    in its place ("" for nothing, None to leave the entry out); the longest that fits counts.
    source: of the state_dict, for messages.
    """
    origins: dict[str, str] = {}
    for name in tensors:
        fitting = [start for start in names if not start or f"{name}.".startswith(f"{start}.")]
        start = max(fitting, key=len, default=None)
        own = name if start is None else names[start]
        if own is None:
            continue
        if start is not None:
            own = ".".join(filter(None, [own, name[len(start) :].lstrip(".")]))
        if own in origins:
            raise FedscapeError(f"{source}: {origins[own]} and {name} are both called {own} by `map`")
        origins[own] = name
    return {own: tensors[name] for own, name in origins.items()}
