"""A study read after an edit of its text, for the tests of the study layer."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from fedscape.study.campaign import read_campaign

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"study": "pilot", "scale": "smoke", "data_root": "data"}


def reader(folder: Path, original: str, usual: Mapping[str, object] = CONFIG) -> Callable:
    """Reads the study `original`, called pilot, in a repository of its own at `folder`, after edits (old, new).

    usual: the user's settings, where a call gives none.
    """
    shutil.copytree(ROOT / "workflow" / "schemas", folder / "workflow" / "schemas")
    file = folder / "config" / "studies" / "pilot.yaml"
    file.parent.mkdir(parents=True)

    def read(*edits, config=usual):
        text = original
        for old, new in edits:
            assert old in text, f"the study file no longer has {old!r}: mend this test"
            text = text.replace(old, new, 1)
        file.write_text(text)
        return read_campaign(folder, config)

    return read
