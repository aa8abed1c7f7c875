"""Whatever a file holds, reading it ends well or with one line: hypothesis looks for input that does not.

It looks at the same examples each time; `pytest tests/unit/study/test_fuzz.py --hypothesis-profile long` looks for
others, fifty times as many.
"""

import copy

import pytest
import torch
import yaml
from broken_input import STUDY, USER, Repository
from csv_text import ROWS
from fuzzing import damage, damaged, places, read_or_refuse, values, words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import LAYOUT, WEIGHTS, plane
from small_run import write_noise, write_partition

from fedscape.checkpoints.readers import ClientModels, Trajectory
from fedscape.checkpoints.state_dicts import read_weights, write_weights
from fedscape.checkpoints.writer import clients_writer, trajectory_writer
from fedscape.columns.csvs import read_csv
from fedscape.data.partition import open_partition
from fedscape.data.storage import open_dataset
from fedscape.files import read_json
from fedscape.jobs.resume import PROGRESS, Resume, ResumeFolder
from fedscape.landscape.plane import open_plane, save_plane
from fedscape.study.files import parsed_yaml

# Fixtures are only read; what is written is overwritten by the next example.
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


# Studies and settings

PLACES = [place for place in places(STUDY) if place]


@st.composite
def studies(draw):
    """The study with some values put elsewhere, taken out, added or changed."""
    study = copy.deepcopy(STUDY)
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(PLACES))
        inner = study
        try:
            for key in above:
                inner = inner[key]
            how = draw(st.sampled_from(["change", "remove", "add", "copy"]))
            if how == "remove":
                del inner[last]
            elif how == "add":
                inner[draw(words)] = draw(values)
            else:
                source = STUDY
                for key in draw(st.sampled_from(PLACES)) if how == "copy" else ():
                    source = source[key]
                inner[last] = copy.deepcopy(source) if how == "copy" else draw(values)
        except (KeyError, IndexError, TypeError):
            continue  # an edit before took the place away
    return study


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("fuzz"))


@fuzzed
@given(studies())
def test_any_study(repository, study):
    read_or_refuse(repository.read, study)


@fuzzed
@given(st.dictionaries(st.sampled_from([*USER, "x"]), values))
def test_any_settings(repository, changes):
    read_or_refuse(repository.read, STUDY, {**USER, **changes})


@fuzzed
@given(st.one_of(st.text(), st.text(alphabet="ab:-[]{}&*!<>|'\"%#? \n\t0.1e~", max_size=40)))
def test_any_text_for_yaml(text):
    value = read_or_refuse(parsed_yaml, text, "here")
    for place in places(value):
        inner = value
        for key in place:
            inner = inner[key]
        assert inner is None or type(inner) in (str, int, float, bool, list, dict)
        assert all(type(key) is str for key in place if not isinstance(key, int))


@fuzzed
@given(values)
def test_any_value_survives_yaml(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    if (found := read_or_refuse(parsed_yaml, text, "here")) is not None:
        assert found == value


# Files that are damaged somewhere


def prepared(folder):
    write_noise(folder / "data")
    write_partition(folder / "p.npz")
    write_weights(folder / "w.safetensors", WEIGHTS)
    torch.save(WEIGHTS, folder / "w.pt")
    torch.save(WEIGHTS, folder / "w.pth", _use_new_zipfile_serialization=False)
    trajectory_writer(folder / "trajectory.safetensors", LAYOUT, [0, 2]).close()
    clients_writer(folder / "clients.safetensors", LAYOUT, [1], participants=2, path_points=1).close()
    save_plane(folder / "plane.safetensors", plane(LAYOUT))
    (folder / "rounds.csv").write_text(ROWS)
    with ResumeFolder(Resume(folder / "resume", "a")) as resume:
        (resume.folder / "rows").write_text("one")
        resume.commit({"round": 3}, ["rows"])


def read_trajectory(path):
    """Opened, and read to its last number."""
    trajectory = Trajectory.open(path)
    return trajectory.columns(0, LAYOUT.parameter_count), trajectory.state(trajectory.last)


def read_clients(path):
    clients = ClientModels.open(path)
    participants = [(number, client) for number in clients.rounds for client in clients.clients(number)]
    return [clients.parameters(*one, epoch) for one in participants for epoch in (None, 1)]


READERS = {
    "p.npz": lambda path: open_partition(path, open_dataset(path.parent / "data")),
    "data/dataset.json": lambda path: open_dataset(path.parent),
    "data/train-labels.npy": lambda path: open_dataset(path.parent),
    "w.safetensors": read_weights,
    "w.pt": read_weights,
    "w.pth": read_weights,
    "trajectory.safetensors": read_trajectory,
    "clients.safetensors": read_clients,
    "plane.safetensors": open_plane,
    "rounds.csv": read_csv,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    prepared(folder)
    return folder


@pytest.mark.filterwarnings("ignore")  # PyTorch's and pandas' about what is in the files
@pytest.mark.parametrize("name", READERS)
def test_any_damage(files, name):
    path = files / name
    whole = path.read_bytes()

    @given(damage())
    def check(how):
        path.write_bytes(damaged(whole, *how))
        read_or_refuse(READERS[name], path)

    try:
        check()
    finally:
        path.write_bytes(whole)


@fuzzed
@given(damage())
def test_any_damage_of_a_resume_folder_starts_afresh_or_changes_nothing(files, capsys, how):
    for name in (PROGRESS, "rows"):
        with ResumeFolder(Resume(files / "resume", "a")) as resume:
            (resume.folder / "rows").write_text("one")
            resume.commit({"round": 3}, ["rows"])
        path = files / "resume" / name
        path.write_bytes(damaged(path.read_bytes(), *how))
        with ResumeFolder(Resume(files / "resume", "a")) as resume:
            assert resume.progress in ({}, {"round": 3})
            assert not resume.progress or (resume.folder / "rows").read_text() == "one"


@fuzzed
@given(st.text())
def test_any_text_for_a_csv_and_json(files, text):
    (files / "any").write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    read_or_refuse(read_csv, files / "any")
    read_or_refuse(read_json, files / "any")
