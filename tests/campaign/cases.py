"""The kinds of cases: what is damaged, and who then looks at it."""

import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import hostile
import raw
import yaml
from arena import CLONE, SCALE, Arena, Content, Job
from calls import Case, command, owns, play, prepare, read_study
from mutated_arrays import NPY, NPZ, SAFETENSORS
from mutated_tables import CSV
from mutated_text import JSON, altered, study_text, study_values
from mutations import BYTES, WHOLE, Mutation

STUDIES = "config/studies"
ALONE = "alone"  # a repository of one study, below the base
RESUMING = ("pretrain", "train", "plane", "surface", "path", "layers", "curvature")
"""Rules whose jobs may be long, and resume."""
SLOW = 8.0  # seconds: jobs that take longer undamaged are left out


class Kinds:
    """Makes the cases of an arena. measure: how long a job takes undamaged, in seconds."""

    def __init__(
        self, arena: Arena, measure: Callable[[Job], float], stopped: Callable[[Job], Mapping[str, bytes]]
    ):
        self.arena, self.measure, self.stopped = arena, measure, stopped
        self.studies = sorted(Path(one).stem for one in arena.files(f"{STUDIES}/*.yaml"))

    def make(self, kind: str, rng: random.Random) -> Case:
        """A case of a kind; the same for the same state of the generator."""
        return getattr(self, kind.replace("-", "_"))(rng)

    # Studies and settings

    def study_text(self, rng: random.Random) -> Case:
        """A study file with damaged text, read by itself."""
        name, text = self._study(rng)
        return self._alone(name, study_text(rng, text).encode("utf-8", "surrogateescape"), "text")

    def study_values(self, rng: random.Random) -> Case:
        """A study file with other content, read by itself."""
        name, text = self._study(rng)
        return self._alone(name, study_values(rng, text).encode(), "values")

    def study_hostile(self, rng: random.Random) -> Case:
        """A study file that somebody has thought about: all of these are refused."""
        about = rng.choice(list(hostile.STUDIES))
        return self._alone("mine", hostile.STUDIES[about], about, strict=True)

    def settings(self, rng: random.Random) -> Case:
        """The user's settings with other content, for a study by itself."""
        config = yaml.safe_load(self.arena.original("config/config.yaml"))
        changed = altered(rng, {**config, "scale": SCALE}, hostile.SETTINGS)
        return self._alone(
            "pilot", self.arena.original(f"{STUDIES}/pilot.yaml"), json.dumps(changed), config=changed
        )

    def _study(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.3:  # small, with an entry of every kind
            return "mine", hostile.SMALL
        name = rng.choice(self.studies)
        return name, self.arena.original(f"{STUDIES}/{name}.yaml").decode()

    def _alone(
        self, name: str, content: Content, about: str, strict: bool = False, config: object = None
    ) -> Case:
        given = {**yaml.safe_load(self.arena.original("config/config.yaml")), "study": name, "scale": SCALE}

        def read() -> None:
            read_study(given if config is None else config)

        file = f"{ALONE}/{STUDIES}/{name}.yaml"
        return Case(f"{name}: {about}", {file: content}, ("alone", name), read, cwd=ALONE, strict=strict)

    # Damaged files of a finished study, and the jobs that read them

    def csv(self, rng: random.Random) -> Case:
        """A damaged CSV."""
        return self._damaged(rng, ".csv", CSV)

    def json(self, rng: random.Random) -> Case:
        """A damaged JSON file."""
        return self._damaged(rng, ".json", JSON)

    def npz(self, rng: random.Random) -> Case:
        """A damaged partition, or points of a surface."""
        return self._damaged(rng, ".npz", NPZ)

    def safetensors(self, rng: random.Random) -> Case:
        """Damaged models."""
        return self._damaged(rng, ".safetensors", SAFETENSORS)

    def arrays(self, rng: random.Random) -> Case:
        """A damaged prepared array; its checksum stands in dataset.json."""
        return self._damaged(rng, ".npy", NPY)

    def _damaged(self, rng: random.Random, suffix: str, kinds: Sequence[Mutation]) -> Case:
        file, job, mutation = self._pick(rng, suffix, kinds)
        about, content = mutation.name, mutation.mutate(rng, self.arena.original(file))
        if rng.random() < 0.04:
            about, content = hostile.place(rng, self.arena.base, there=True)
        return self._job(job, f"{file}: {about}", {f"{CLONE}/{file}": content}, mutation.strict)

    def _pick(self, rng: random.Random, suffix: str, kinds: Sequence[Mutation]) -> tuple[str, Job, Mutation]:
        """A file that jobs read, one of them, and what happens to the file; files of all stages alike."""
        files = [one for one in self.arena.files(f"results/**/*{suffix}") if self.arena.readers(one)]
        names = sorted({Path(one).name for one in files})
        name = rng.choice(names)
        file = rng.choice([one for one in files if Path(one).name == name])
        readers = self.arena.readers(file)
        rules = sorted({job.rule for job in readers})
        rng.shuffle(rules)
        chosen = [job for rule in rules for job in [rng.choice([one for one in readers if one.rule == rule])]]
        job = next((one for one in chosen if self.measure(one) < SLOW), min(chosen, key=self.measure))
        return file, job, rng.choice(kinds)

    def _job(self, job: Job, about: str, files: Mapping[str, Content], strict: bool) -> Case:
        return Case(
            f"{about} -> {job.rule} {job.outputs[0]}", files, ("job", job.number), lambda: play(job),
            strict=strict, outputs=job.outputs, own=lambda path: owns(job, path),
        )  # fmt: skip

    # What killed jobs have left

    def resume(self, rng: random.Random) -> Case:
        """A damaged file of a resume folder whose job then resumes."""
        job, left = self._left(rng)
        name = "progress.json" if rng.random() < 0.3 else None
        file = rng.choice([one for one in left if name is None or one.endswith(name)] or list(left))
        if rng.random() < 0.15:
            about, left[file] = hostile.place(rng, self.arena.base)
        else:
            of = {".json": JSON, ".csv": CSV}.get(Path(file).suffix, BYTES)
            mutation = rng.choice(of)
            about, left[file] = mutation.name, mutation.mutate(rng, left[file])
        return self._job(job, f"{file}: {about}", left, strict=True)

    def _left(self, rng: random.Random) -> tuple[Job, dict[str, Content]]:
        """A job with a resume folder, of stages alike, and what it leaves when it is stopped."""
        jobs = [job for job in self.arena.jobs if job.rule in RESUMING and self.arena.playable(job)]
        rule = rng.choice(sorted({job.rule for job in jobs}))
        jobs = [job for job in jobs if job.rule == rule]
        while not self.stopped(job := rng.choice(jobs)):
            jobs.remove(job)
        return job, dict(self.stopped(job))

    # Raw data

    def raw(self, rng: random.Random) -> Case:
        """A damaged raw file of any format."""
        kind = rng.choice(sorted(raw.FORMATS))
        file = rng.choice(self.arena.files(f"data/{kind}/**/*"))
        content, suffix = self.arena.original(file), Path(file).suffix
        found = [name for name, (of, _) in raw.HOSTILE.items() if of == suffix.lstrip(".")]
        if found and rng.random() < 0.1:
            about = rng.choice(found)
            strict = about not in raw.SOUND
            content = raw.HOSTILE[about][1](content)
        else:
            of = JSON if suffix == ".json" else BYTES
            mutation = rng.choice(of)
            about, content = mutation.name, mutation.mutate(rng, content)
            whole = raw.FORMATS[kind].marked and mutation in WHOLE
            strict = raw.FORMATS[kind].checked or whole
        pristine = self.arena.pristine / CLONE / "data" / kind
        return Case(
            f"{file}: {about}", {f"{CLONE}/{file}": content}, ("raw", kind), lambda: prepare(kind, pristine),
            strict=strict, outputs=[f"{raw.OUT}/{name}" for name in raw.ARRAYS],
            own=lambda path: path.is_relative_to(raw.OUT),
        )  # fmt: skip

    # Commands

    def command(self, rng: random.Random) -> Case:
        """`fedscape status`, `why` or `cost` in a clone in which something is damaged."""
        about, files = self._broken_tree(rng)
        outputs = [job.outputs[0] for job in self.arena.jobs]
        given = rng.choice(
            [
                ["status", "pilot"],
                ["status", "pilot", "--all"],
                ["cost", "pilot"],
                ["why", rng.choice(outputs)],
            ]
        )
        arguments = [*given, "--config", f"scale={SCALE}"]
        return Case(
            f"{about} -> fedscape {' '.join(arguments)}",
            files,
            ("command", given[0]),
            lambda: command(arguments),
        )

    def _broken_tree(self, rng: random.Random) -> tuple[str, dict[str, Content]]:
        """Notes, resume folders, records, logs or settings that are damaged."""
        how = rng.choice(["note", "note", "progress", "record", "file", "place"])
        if how == "note":
            return self._note(rng)
        if how == "progress":
            _, left = self._left(rng)
            file = next((one for one in left if one.endswith("progress.json")), min(left))
            mutation = rng.choice(JSON)
            left[file] = mutation.mutate(rng, left[file])
            return f"{file}: {mutation.name}", left
        of = {"record": [".snakemake/metadata/*"]}.get(
            how,
            [
                "results/**/*.log",
                "results/**/*.tsv",
                "config/costs.csv",
                "results/**/*.csv",
                "results/**/run.json",
            ],
        )
        file = rng.choice(self.arena.files(*of))
        if how == "place":
            file = rng.choice([file, str(Path(file).parent)])
            about, content = hostile.place(rng, self.arena.base)
            return f"{file}: {about}", {f"{CLONE}/{file}": content}
        mutation = rng.choice(JSON if how == "record" else BYTES)
        return f"{file}: {mutation.name}", {
            f"{CLONE}/{file}": mutation.mutate(rng, self.arena.original(file))
        }

    def _note(self, rng: random.Random) -> tuple[str, dict[str, Content]]:
        """A note of a job that has ended, about which somebody lies; at times without Snakemake's records."""
        job = rng.choice(self.arena.jobs)
        folder = rng.choice(
            [*hostile.folders(self.arena.base), str(Path(job.outputs[0]).with_name("resume"))]
        )
        note: object = {"folder": folder, "outputs": list(job.outputs), "temporary": rng.random() < 0.5}
        if rng.random() < 0.4:
            note = altered(rng, note)
        content = json.dumps(note).encode()
        if rng.random() < 0.2:
            mutation = rng.choice(BYTES)
            content = mutation.mutate(rng, content)
        file = f"{CLONE}/results/pilot/{SCALE}/unrecorded/{rng.randrange(10**6):06}.json"
        files: dict[str, Content] = {file: content}
        if rng.random() < 0.3:
            files[f"{CLONE}/.snakemake/metadata"] = None
        return f"a note: {content[:200]!r}", files

    # Whole calls of Snakemake

    def snakemake_study(self, rng: random.Random) -> Case:
        """`snakemake -n` with a damaged study file among the others."""
        name = rng.choice(self.studies)
        text = self.arena.original(f"{STUDIES}/{name}.yaml").decode()
        how = rng.choice([study_text, study_values])
        content = how(rng, text).encode("utf-8", "surrogateescape")
        return self._dry(f"{name}: {how.__name__}", {f"{CLONE}/{STUDIES}/{name}.yaml": content})

    def snakemake_config(self, rng: random.Random) -> Case:
        """`snakemake -n --config ...` of any kind."""
        return self._dry("", {}, hostile.config(rng))

    def snakemake_notes(self, rng: random.Random) -> Case:
        """`snakemake -n` in a clone with notes, records, logs or resume folders that are damaged."""
        about, files = self._broken_tree(rng)
        while ".snakemake/metadata/" in about:  # Snakemake's own records, which it reads without a net
            about, files = self._broken_tree(rng)
        return self._dry(about, files)

    def snakemake_job(self, rng: random.Random) -> Case:
        """A damaged file, and Snakemake asked for what is made from it."""
        suffix, kinds = rng.choice([
            (".csv", CSV), (".safetensors", SAFETENSORS), (".npz", NPZ),
            (".npy", NPY), (".json", JSON),
        ])  # fmt: skip
        file, job, mutation = self._pick(rng, suffix, kinds)
        content = mutation.mutate(rng, self.arena.original(file))
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--notemp", job.outputs[0]]
        return Case(
            f"{file}: {mutation.name} -> {' '.join(command[2:])}", {f"{CLONE}/{file}": content},
            ("snakemake", job.number), command=command, strict=mutation.strict, outputs=job.outputs,
            own=lambda path: self._makes_again(file, path),
        )  # fmt: skip

    def _makes_again(self, file: str, path: Path) -> bool:
        """Whether Snakemake writes `path` when `file` has changed: by any job that comes after it."""
        made = {file}
        after = [
            job for job in self.arena.jobs if made.intersection(job.inputs) and not made.update(job.outputs)
        ]
        beside = "benchmarks" in path.parts or path.name == "config.yaml"
        return beside or any(owns(job, path) for job in after)

    def _dry(self, about: str, files: Mapping[str, Content], config: Sequence[str] = ()) -> Case:
        # What comes last counts.
        given = ["-n", "pilot", "--config", f"scale={SCALE}", *config]
        command = [sys.executable, "-m", "snakemake", *given]
        return Case(f"{about} -> snakemake {' '.join(given)}", files, ("dry",), command=command)
