"""Bring models that were trained elsewhere into the files of a run."""

from pathlib import Path

from fedscape.checkpoints.imported import ImportedFiles
from fedscape.checkpoints.run_files import RunOutputs
from fedscape.evaluation.imported_run import import_measured_run
from fedscape.jobs.job import job
from fedscape.plugins import Plugin
from fedscape.settings.imports import ImportedModels

with job(snakemake) as context:
    import_measured_run(
        identity=context.identity,
        model=Plugin.of(context.settings["model"]),
        dataset=Path(snakemake.input.dataset).parent,
        partition=snakemake.input.partition or None,
        files=ImportedFiles(snakemake.input.models, snakemake.input.client_models),
        imported=context.typed(ImportedModels),
        outputs=RunOutputs(**dict(snakemake.output.items())),
        fingerprint=context.fingerprint,
    )
