"""scikit-learn's descriptions of its data sets, characters as tokens, each document a natural client.

English text that needs no download, for the quick scale: 14 documents of 704 to 10,923 characters, 43,054 of
92 kinds in all with scikit-learn 1.9 (`dataset.json` has the md5s). Each is cut into sequences of `length`
characters, the last of which are the test set: 1,204 and 133 sequences with `length: 32`. Its two parts have
the same vocabulary, that of all documents.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from fedscape.data.sources.text import code_points, cut_by_client, part_of, read_text, vocabulary
from fedscape.data.storage import Raw

PACKAGE = "sklearn.datasets.descr"
FEWEST = 2  # sequences of a document: one to train on and one to test on

INPUTS = "tokens"  # what its samples are: sequences of tokens, not images


@dataclass(frozen=True)
class Settings:
    """How the documents are cut."""

    length: int = 32  # characters of a sequence
    test_fraction: float = 0.1  # share of each document's sequences that are for testing; one at least
    part: Literal["all", "clients", "proxy"] = "all"  # proxy: a third of the documents, none of `clients`

    def __post_init__(self):
        if self.length < 1:
            raise ValueError(f"length must be >= 1, got {self.length}")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must be > 0 and < 1, got {self.test_fraction}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read the documents of the scikit-learn installation; `data_root` is not used."""
    texts, sources = {}, {}
    with resources.as_file(resources.files(PACKAGE)) as folder:
        for path in sorted(folder.glob("*.rst")):
            texts[path.stem], sources[f"{PACKAGE}/{path.name}"] = read_text(path, name)
    return cut_by_client(
        part_of(texts, settings.part),
        vocabulary(map(code_points, texts.values())),
        settings.length,
        settings.test_fraction,
        FEWEST,
        name,
        sources,
    )
