"""What an example keeps of a study: CSVs and the `run.json` of its runs, compressed, and their settings.

`docs/examples/pilot-small/data` mirrors `results/pilot/small`, with a compressed file for each: pandas reads
a CSV as it is, and adding a seed leaves the other seeds' files untouched in the repository.
"""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.files import atomic, reading
from fedscape.regular import LARGEST, open_regular, read_regular
from fedscape.study.files import parsed_yaml
from fedscape.study.resolved import resolved, resolved_text
from fedscape.study.stages.every import SECTIONS
from fedscape.study.study import Study

EXAMPLES = Path("docs", "examples")
LIMIT = 10_000_000  # bytes of the compressed files of an example
SETTINGS = "config.yaml"
MEND = "take it from the repository again"  # what to do about a damaged file
# Settings that cannot change without rebuilding the CSVs of runs and of their analyses.
OF_RUNS = ("images", "test_images", "validation", "datasets", "models", "partitions", "inits", "methods")


@dataclass(frozen=True)
class Example:
    """The folder below `docs/examples` of a study at a scale."""

    folder: Path

    @property
    def study_and_scale(self) -> tuple[str, str]:
        """Study and scale, from the name of the folder, `{study}-{scale}`."""
        study, _, scale = self.folder.name.rpartition("-")
        if not study:
            raise FedscapeError(f"{self.folder}: an example's folder is called {{study}}-{{scale}}")
        return study, scale

    @property
    def data(self) -> Path:
        """The folder of its CSVs."""
        return self.folder / "data"

    def made_with(self) -> dict | None:
        """Commit and versions that its CSVs were made with; None where it keeps none."""
        return self._settings()["made_with"] if (self.data / SETTINGS).is_file() else None

    def kept(self, study: Study, path: str) -> Path:
        """The path at which it keeps a file of `results/`."""
        return self.data / f"{Path(path).relative_to(study.folder)}.gz"

    def read(self, study: Study, path: str) -> bytes:
        """The bytes of a file of `results/`. Raises FedscapeError where the kept file is not whole."""
        kept = self.kept(study, path)
        with reading(kept, "compressed file", MEND), open_regular(kept) as file, gzip.open(file) as whole:
            content = whole.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise ValueError(f"larger than {LARGEST:,} bytes")
            return content

    def write(self, study: Study, contents: Mapping[str, bytes], made_with: Mapping[str, object]) -> None:
        """Keep files beside those kept already. Raises FedscapeError above LIMIT, before it writes."""
        files = {
            self.kept(study, path): gzip.compress(content, mtime=0) for path, content in contents.items()
        }
        others = set(self.files()).difference(files)
        size = sum(map(len, files.values())) + sum(path.stat().st_size for path in others)
        if size > LIMIT:
            raise FedscapeError(
                f"{self.data}: {size:,} bytes of compressed files; an example takes at most {LIMIT:,}"
            )
        for path, content in contents.items():
            kept = self.kept(study, path)
            # Other versions of zlib compress to other bytes: do not rewrite a file whose content is the same.
            if not kept.is_file() or self.read(study, path) != content:
                with atomic(kept) as temporary:
                    temporary.write_bytes(files[kept])
        with atomic(self.data / SETTINGS) as temporary:
            temporary.write_text(resolved_text(study, made_with), encoding="utf-8", newline="\n")

    def files(self) -> Iterator[Path]:
        """The files that it keeps, compressed."""
        return self.data.rglob("*.gz")

    def check_settings(self, study: Study) -> None:
        """Refuse to draw CSVs with settings that they were not made with.

        Entries that the study has gained or lost since do not matter.
        """
        before, now = _measured(self._settings()), _measured(resolved(study))
        for key, old, new in _differences(before, now):
            raise FedscapeError(
                f"config/studies/{study.name}.yaml (scale {study.scale}): {key} is {new!r}, but the CSVs in "
                f"{self.data} were made with {old!r}"
            )

    def _settings(self) -> dict:
        path = self.data / SETTINGS
        with reading(path, "file of settings", MEND):
            settings = parsed_yaml(read_regular(path), str(path))
            if not isinstance(settings, dict):
                raise ValueError("no settings in it")
            if not isinstance(settings["made_with"]["commit"], str):
                raise ValueError("no commit in it")
            _measured(settings)
            return settings


def _measured(settings: Mapping) -> dict:
    """The settings that decide the values in the CSVs, whichever runs these are about."""
    analyses = {
        section: {name: entry["settings"] for name, entry in settings[section].items()}
        for section in SECTIONS
    }
    return {**{section: settings[section] for section in OF_RUNS}, **analyses}


def _differences(before: object, now: object, *keys: str) -> Iterator[tuple[str, object, object]]:
    """Key, value before and value now of each entry that both maps have with different values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in before:
            if name in now:
                yield from _differences(before[name], now[name], *keys, name)
    elif before != now:
        yield ".".join(keys), before, now
