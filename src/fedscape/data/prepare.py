"""From a user's files to a prepared data set."""

from dataclasses import asdict
from pathlib import Path

from fedscape import plugins
from fedscape.data.storage import write_dataset


def prepare_dataset(name: str, kind: str, settings: dict, data_root: str | Path, folder: str | Path) -> None:
    """Read the data set `name` of kind `kind` below `data_root` and write its arrays into `folder`.

    settings: values for the `Settings` of ``data/datasets/<kind>.py``.
    Raises FedscapeError naming the source file that is missing, truncated or wrong.
    """
    plugin = plugins.load("data.datasets", kind)
    chosen = plugin.Settings(**settings)
    raw = plugin.load(chosen, Path(data_root), name)
    write_dataset(folder, name, kind, raw, asdict(chosen))
