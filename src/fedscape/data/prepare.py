"""From a user's files to a prepared data set."""

from dataclasses import asdict
from pathlib import Path

from fedscape.data.storage import write_dataset
from fedscape.plugins import Plugin


def prepare_dataset(name: str, source: Plugin, data_root: str | Path, folder: str | Path) -> None:
    """Read the data set `name` below `data_root` and write its arrays into `folder`.

    source: a plug-in ``data/datasets/<kind>.py``.
    Raises FedscapeError naming the source file that is missing, truncated or wrong.
    """
    plugin, settings = source.load("data.datasets")
    raw = plugin.load(settings, Path(data_root), name)
    write_dataset(folder, name, source.kind, raw, asdict(settings))
