"""The campaign: cases one after the other in several processes, each with an arena of its own, and a table."""

import argparse
import gc
import hashlib
import importlib
import json
import os
import pkgutil
import random
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from arena import CLONE, OWN, Arena, Job, finish
from calls import Case, play_until_stopped
from cases import Kinds
from hostile import SMALL
from verdict import End, called, fault, forked, line_of

SHARES = {
    "study-text": 1500, "study-values": 1500, "study-hostile": 400, "settings": 600, "csv": 2000, "json": 300,
    "npz": 500, "safetensors": 700, "arrays": 300, "resume": 500, "raw": 500, "command": 200,
    "snakemake-study": 400, "snakemake-config": 250, "snakemake-notes": 150, "snakemake-job": 200,
}  # fmt: skip
"""Of 10,000 cases; those called snakemake-... are whole calls of Snakemake."""
RIGHT, VALUE, LINE = "exit 0, right", "exit 0, another value", "one line"
FINE = (RIGHT, VALUE, LINE)
LONG = 600.0  # seconds that an undamaged call may take
LARGE = 8 << 30  # bytes that it may take
TRIES = 2  # of a case that hangs: the machine may have been busy


@dataclass(frozen=True)
class Undamaged:
    """What a call takes, and the outputs that are the same bytes each time, when nothing is damaged."""

    seconds: float
    peak: int
    outputs: Mapping[str, str]


class Player:
    """Plays cases in an arena."""

    def __init__(self, arena: Arena, seed: int):
        self.arena, self.seed = arena, seed
        self.kinds = Kinds(arena, self._seconds, self._stopped)
        self._undamaged: dict[tuple, Undamaged] = {}
        self._left: dict[int, dict[str, bytes]] = {}

    def play(self, kind: str, number: int) -> dict:
        """A case by its name: what was done, how it ended, and the verdict."""
        for _ in range(TRIES):
            case = self.kinds.make(kind, random.Random(f"{self.seed}/{kind}/{number}"))
            usual = self._usual(case)
            self.arena.apply(case.files)
            end = self._run(case, usual.seconds, usual.peak)
            verdict, told = self._judge(case, end, usual)
            self.arena.restore()
            if not end.hung:
                break
        return {
            "case": f"{kind}:{number}", "verdict": verdict, "about": case.about, "told": told,
            "seconds": round(end.seconds, 2), "beyond_mb": round((end.peak - usual.peak) / 2**20),
        }  # fmt: skip

    def _run(self, case: Case, seconds: float, peak: int) -> End:
        cwd, said = self.arena.base / case.cwd, self.arena.said
        if case.action:
            return forked(case.action, cwd, said, seconds, peak)
        return called(case.command, cwd, said, seconds, peak)

    def _judge(self, case: Case, end: End, usual: Undamaged) -> tuple[str, str]:
        if stray := [path for path in self.arena.changes() if not self._may_change(case, path)]:
            return "another's file", ", ".join(map(str, stray[:10]))
        if wrong := fault(end):
            return wrong, end.said[-3000:]
        if end.code:
            return LINE, line_of(end) or ""
        other = [name for name, digest in usual.outputs.items() if self._digest(name) != digest]
        if case.strict and (other or not case.outputs):
            return "misled", ", ".join(other) or end.said[-500:]
        return (VALUE if other else RIGHT), ""

    def _may_change(self, case: Case, path: Path) -> bool:
        if not path.is_relative_to(CLONE):
            return False
        within = path.relative_to(CLONE)
        if within.is_relative_to(OWN[1]):
            return True
        folder = self.arena.base / path
        return within.is_relative_to(OWN[0]) and (
            case.own(within) or (bool(case.outputs) and folder.is_dir())
        )

    def _digest(self, name: str) -> str:
        try:
            return hashlib.sha256((self.arena.clone / name).read_bytes()).hexdigest()
        except FileNotFoundError:
            return "gone"

    def _usual(self, case: Case) -> Undamaged:
        """The same call without damage, played twice when it is first asked for."""
        if case.undamaged not in self._undamaged:
            found = [self._sound(case) for _ in range(2 if case.outputs else 1)]
            same = {name: one for name, one in found[0].outputs.items() if found[-1].outputs[name] == one}
            self._undamaged[case.undamaged] = replace(max(found, key=lambda one: one.seconds), outputs=same)
        return self._undamaged[case.undamaged]

    def _sound(self, case: Case) -> Undamaged:
        if case.undamaged[0] == "alone" and case.undamaged[1] == "mine":
            self.arena.apply({name: SMALL.encode() for name in case.files})
        elif case.undamaged[0] == "alone":
            name = f"config/studies/{case.undamaged[1]}.yaml"
            self.arena.apply({file: self.arena.original(name) for file in case.files})
        elif case.undamaged[0] == "snakemake":  # what is read is newer, so that it is made again
            self.arena.apply(
                {name: self.arena.original(str(Path(name).relative_to(CLONE))) for name in case.files}
            )
            case = replace(case, command=[*case.command, "--force"])
        end = self._run(case, LONG, LARGE)
        outputs = {name: self._digest(name) for name in case.outputs}
        self.arena.restore()
        if case.undamaged[0] in ("job", "raw", "snakemake") and end.code != 0:
            raise RuntimeError(f"undamaged, {case.about} ends with {end.code}:\n{end.said[-3000:]}")
        return Undamaged(end.seconds, end.peak, outputs)

    def _seconds(self, job: Job) -> float:
        return self._usual(self.kinds._job(job, "undamaged", {}, strict=True)).seconds

    def _stopped(self, job: Job) -> Mapping[str, bytes]:
        """What a job leaves when it is told to stop after its first commit; nothing if it has no resume folder."""
        if job.number not in self._left:
            before = set(self.arena.stamps)
            forked(lambda: play_until_stopped(job), self.arena.clone, self.arena.said, LONG, LARGE)
            left = [
                path
                for path in self.arena.changes()
                if path not in before and (self.arena.base / path).is_file()
            ]
            self._left[job.number] = {
                str(path): (self.arena.base / path).read_bytes()
                for path in left
                if any("resume" in one for one in path.parts)
            }
            self.arena.restore()
        return self._left[job.number]


def import_all() -> None:
    """Import what jobs import, so that forked processes find it there."""
    import fedscape

    for module in pkgutil.walk_packages(fedscape.__path__, "fedscape."):
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module(module.name)
    import matplotlib.pyplot  # noqa: F401
    from torchvision.datasets import cifar, mnist  # noqa: F401


def numbers(cases: int, kinds: Iterable[str]) -> list[tuple[str, int]]:
    """So many cases as names, kinds in proportion to their shares and mixed, so that each part is of all."""
    shares = {kind: SHARES[kind] for kind in kinds}
    total = sum(shares.values())
    found = [
        ((n + 0.5) / of, kind, n)
        for kind, share in shares.items()
        for of in [-(-cases * share // total)]
        for n in range(of)
    ]
    return [(kind, number) for _, kind, number in sorted(found)[:cases]]


def table(results: Iterable[Mapping]) -> str:
    """Kinds with how many of their cases ended how, in Markdown."""
    counts: dict[str, Counter] = {}
    for one in results:
        counts.setdefault(one["case"].partition(":")[0], Counter())[
            one["verdict"] if one["verdict"] in FINE else "failed"
        ] += 1
    columns = (*FINE, "failed")
    rows = [["kind", "cases", *columns], ["---", *["---:"] * (1 + len(columns))]]
    for kind in (*(one for one in SHARES if one in counts), "all"):
        count = counts[kind] if kind in counts else sum(counts.values(), Counter())
        rows.append([kind, *(f"{number:,}" for number in (count.total(), *(count[one] for one in columns)))])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    """Play what is asked for; exit code 1 if a case fails."""
    parser = argparse.ArgumentParser(prog="python tests/campaign", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many, of all kinds (10,000)")
    parser.add_argument("--kinds", nargs="+", choices=SHARES, default=[*SHARES], help="which kinds (all)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other cases (0)")
    parser.add_argument("--workers", type=int, default=1, help="processes (1)")
    parser.add_argument(
        "--studies", nargs="+", default=["pilot"], help="studies whose results are damaged (pilot)"
    )
    parser.add_argument(
        "--made", type=Path, help="a clone in which they are made at scale smoke (else they are made)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where to play, kept; 1 GB a process (else a temporary folder)"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="KIND:NUMBER", help="these cases again, and all they say"
    )
    parser.add_argument("--out", type=Path, help="results, a JSON a line; cases in it are not played again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as scratch:
        return _campaign(given, given.folder or Path(scratch))


def _campaign(given: argparse.Namespace, folder: Path) -> int:
    folder = folder.resolve()
    out = given.out or folder / "results.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    finish(folder / "finished", tuple(given.studies), given.made)
    import_all()
    if given.only:
        wanted = [(kind, int(number)) for kind, _, number in (one.partition(":") for one in given.only)]
        player = Player(Arena(folder / "arena-0", folder / "finished"), given.seed)
        found = [player.play(*one) for one in wanted]
        print("\n".join(json.dumps(one, indent=2, ensure_ascii=False) for one in found))
        return any(one["verdict"] not in FINE for one in found)
    wanted = numbers(given.cases, given.kinds)
    played = {one["case"] for one in _results(out)}
    left = [one for one in wanted if f"{one[0]}:{one[1]}" not in played]
    children = [
        _worker(folder, number, left[number :: given.workers], given.seed, out)
        for number in range(given.workers)
    ]
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    names = {f"{kind}:{number}" for kind, number in wanted}
    results = [one for one in _results(out) if one["case"] in names]
    failures = [one for one in results if one["verdict"] not in FINE]
    print(table(results))
    for one in failures:
        print(f"\n{one['case']}: {one['verdict']}: {one['about']}\n    {one['told'][-300:].strip()}")
    print(f"\n{len(results)} of {len(wanted)} cases, {len(failures)} failed; seed {given.seed}")
    return any(ends) or bool(failures) or len(results) < len(names)


def _worker(folder: Path, number: int, wanted: list[tuple[str, int]], seed: int, out: Path) -> int:
    """A process that plays cases in an arena of its own, and writes a line for each."""
    if child := os.fork():
        return child
    code = 1
    try:
        gc.freeze()  # what is imported: forked processes would copy it by looking at it
        arena = Arena(folder / f"arena-{number}", folder / "finished")
        player = Player(arena, seed)
        unplayed = 0
        for one in wanted:
            try:
                result = player.play(*one)
            except Exception:  # a fault of the campaign itself: the other cases go on
                traceback.print_exc()
                arena.restore()
                unplayed += 1
                continue
            with out.open("a") as file:
                file.write(json.dumps(result) + "\n")
        shutil.rmtree(arena.base.parent)
        code = int(unplayed > 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _results(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
