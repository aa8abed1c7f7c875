"""Stage `import`: runs that were trained elsewhere, as files like those of `train`."""

from fedscape.settings.plain import to_plain
from fedscape.study.grid import Run
from fedscape.study.stages.data import PARTITION, dataset_file
from fedscape.study.stages.stage import Files, Stage, Wildcards
from fedscape.study.stages.training import TRAIN
from fedscape.study.study import Study


def _inputs(study: Study, wildcards: Wildcards) -> Files:
    run = Run.of(wildcards)
    files = study.imports[run.path]
    return {
        "dataset": dataset_file(run.dataset),
        "partition": PARTITION.file(study, run.names, "samples") if files.measured else [],
        "models": list(files.models),
        "client_models": list(files.client_models),
    }


def _settings(study: Study, wildcards: Wildcards) -> dict:
    run = Run.of(wildcards)
    files = study.imports[run.path]
    return {
        "model": study.models[run.model].keys,
        # Snakemake compares inputs as a set; which file is which model is a setting.
        "models": list(files.models),
        "client_models": list(files.client_models),
        "rounds": list(files.rounds),
        "clients": [list(numbers) for numbers in files.clients],
        "names": [list(names) for names in files.names],
        "measured": to_plain(files.measured),
    }


IMPORT = Stage(
    "import",
    outputs=TRAIN.outputs,
    inputs=_inputs,
    settings=_settings,
    jobs=lambda study: [run.names for run in study.runs if run.path in study.imports],
    labels=("init",),
    targets=TRAIN.targets,
    local=True,
)
