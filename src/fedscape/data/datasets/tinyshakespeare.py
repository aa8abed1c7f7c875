"""A text file of plays, characters as tokens, each speaker a natural client: tinyshakespeare.

The file of Karpathy's char-rnn: 1,115,394 characters of 65 kinds, spoken by 309 speakers. Its blocks are
``SPEAKER:``, lines, an empty line; any other file of such blocks will do. All that a speaker says is joined,
in the order of the file and with the empty lines between speeches; a name that is in two plays is one
speaker. It is cut into sequences of `length` characters; the last of each speaker's are the test set.

Speakers with too little text for a train and a test sequence are left out. Of the 1,034,351 characters that
are spoken, `length: 256` keeps 180 speakers and 95.7 % in 3,428 train and 439 test sequences, `length: 64`
238 speakers and 98.9 % in 14,353 and 1,634. Many have little: raise `min_sequences` for clients with more.
Its two parts have the same vocabulary, that of the whole file.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fedscape.data.sources.text import code_points, cut_by_client, part_of, read_text, vocabulary
from fedscape.data.storage import Raw
from fedscape.errors import FedscapeError

ADDRESS = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHOWN = 40  # characters of a line that an error quotes

INPUTS = "tokens"  # what its samples are: sequences of tokens, not images


@dataclass(frozen=True)
class Settings:
    """Where the text is and how it is cut."""

    file: str = "tinyshakespeare/input.txt"  # the plays, relative to data_root or absolute
    length: int = 256  # characters of a sequence
    test_fraction: float = 0.1  # share of each speaker's sequences that are for testing; one at least
    min_sequences: int = 2  # speakers with fewer sequences, train and test together, are left out
    part: Literal["all", "clients", "proxy"] = "all"  # proxy: a third of the speakers, none of `clients`

    def __post_init__(self):
        if not self.file:
            raise ValueError("file must name a text file of plays, got ''")
        if self.length < 1:
            raise ValueError(f"length must be >= 1, got {self.length}")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction must be > 0 and < 1, got {self.test_fraction}")
        if self.min_sequences < 2:
            raise ValueError(f"min_sequences must be >= 2 (one for testing), got {self.min_sequences}")


def load(settings: Settings, data_root: Path, name: str) -> Raw:
    """Read ``data_root/settings.file``; speakers are numbered in the order of their sorted names."""
    path = data_root / settings.file
    if not path.is_file():
        raise FedscapeError(
            f"{name}: {path} not found; get {ADDRESS} on a machine with internet and place it there, or set "
            "data_root or the data set's `file`"
        )
    text, md5 = read_text(path, name)
    return cut_by_client(
        part_of(_by_speaker(text, f"{name}: {path}"), settings.part),
        vocabulary([code_points(text)]),
        settings.length,
        settings.test_fraction,
        settings.min_sequences,
        name,
        {settings.file: md5},
    )


def _by_speaker(text: str, where: str) -> dict[str, str]:
    """All that each speaker says."""
    speeches: dict[str, list[str]] = {}
    for block in re.split("\n{2,}", text.strip("\n")):
        speaker, _, speech = block.partition("\n")
        if not speaker.endswith(":"):
            raise FedscapeError(
                f"{where}: blocks of plays begin with a line `SPEAKER:`, found '{speaker[:SHOWN]}'"
            )
        speeches.setdefault(speaker[:-1], []).append(speech)
    return {speaker: "\n\n".join(filter(None, spoken)) for speaker, spoken in speeches.items()}
