"""Input that is wrong somewhere, and what a user is told about it."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from edited_study import CONFIG, ROOT

from fedscape.errors import FedscapeError
from fedscape.study.campaign import Campaign, read_campaign

# A study with an entry of every kind, small enough to be read some hundred times.
STUDY = yaml.safe_load("""
title: A study
datasets: [digits]
seeds: [0, 1]
validation: 0.1
models: {convnet: {}, cnn: {}}
partitions:
  iid: {scheme: iid, clients: 4}
  dir: {scheme: dirichlet, clients: 4, alpha: 0.1}
inits:
  random: {kind: random}
  pretrained: {kind: pretrained, dataset: digits-proxy, epochs: 1}
  later: {kind: after-round, init: random, partition: iid, method: fedavg, round: last}
methods:
  fedavg: {rounds: 4, lr: 0.1, client_rounds: [1, last], keep_rounds: {every: 2}}
  tuned: {algorithm: fedprox, mu: 0.1, rounds: 2, grid: {lr: [0.1, 0.2]}, server: {kind: adam, lr: 0.1}}
runs:
  - {model: convnet, method: fedavg}
  - {model: cnn, init: random, method: tuned, partition: iid}
planes:
  finals: {kind: finals, runs: [{model: convnet}], each: [init], grid: 5}
  local: {kind: clients, round: last, runs: [{model: convnet, init: random}], each: [partition], grid: 5}
connectivity:
  line: {kind: path, from: {partition: iid, model: convnet}, to: {partition: dir}, each: [init], points: 5}
  layers: {kind: layers, between: clients, rounds: [last], runs: [{model: convnet, init: random}], each: [partition]}
curvature:
  sharp: {runs: [{model: convnet, init: random}], each: [partition], top: 1, density: {steps: 4}}
drift:
  moves: {runs: [{model: convnet}], each: [partition]}
figures:
  surface: {kind: contour, plane: finals, where: {init: random}}
  line: {kind: interpolation, connectivity: line}
  accuracy: {kind: curves, table: rounds, measure: test_accuracy}
  counts: {kind: partitions, partitions: [iid, dir]}
labels:
  - {label: IID, where: {partition: iid}}
claims:
  - claim: Even is better
    source: Figure 1
    measure: final
    where: {model: convnet, init: random}
    cases: [{partition: iid}, {partition: dir}]
    expect: {order: decreasing}
tables:
  table-1:
    title: Accuracy
    source: Table 1
    where: {model: convnet, init: random}
    rows: partition
    columns: [{label: accuracy, measure: final}]
    published: {iid: [52.9], dir: [null]}
scales:
  paper: {}
  smoke: {all_methods: {rounds: 2}, all_planes: {grid: 3}, seeds: [0], drift: {moves: null}}
""")
USER = {**CONFIG, "datasets": {"digits-proxy": {"kind": "digits", "part": "proxy"}}}


def changed(content: object, place: str, value: object) -> object:
    """A copy of nested maps and lists with `value` at `place`, such as `runs.0.model`; GONE takes it out."""
    result = copy.deepcopy(content)
    *parents, last = place.split("/")
    inner = result
    for parent in parents:
        inner = inner[int(parent) if isinstance(inner, list) else parent]
    last = int(last) if isinstance(inner, list) else last
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return result


GONE = object()


class Repository:
    """A folder with the schemas and one study, called pilot."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "workflow").mkdir()
        (folder / "workflow" / "schemas").symlink_to(ROOT / "workflow" / "schemas")
        self.studies = folder / "config" / "studies"
        self.studies.mkdir(parents=True)

    def read(self, study: object = STUDY, config: Mapping[str, object] = USER) -> Campaign:
        """The campaign of a study: its text, its bytes, or its content."""
        file = self.studies / "pilot.yaml"
        if not isinstance(study, (str, bytes)):
            study = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
        file.write_bytes(study if isinstance(study, bytes) else study.encode())
        return read_campaign(self.folder, config)


def refusal(function: Callable, *arguments, **keywords) -> str:
    """What a call says when it refuses its input: one printable line."""
    with pytest.raises(FedscapeError) as error:
        function(*arguments, **keywords)
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < LONGEST, message
    return message


LONGEST = 1500  # characters: the names that are allowed may be many
