"""Stage `import`: a run that was trained elsewhere, with what its owner has measured."""

from collections.abc import Mapping
from pathlib import Path

from fedscape.checkpoints.imported import ImportedFiles, import_run
from fedscape.checkpoints.readers import Trajectory
from fedscape.checkpoints.run_files import RunOutputs
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import evaluate
from fedscape.evaluation.problem import ProblemSpec, open_problem
from fedscape.plugins import Plugin
from fedscape.settings.imports import ImportedModels, MeasuredResult


def import_measured_run(
    *,
    identity: Mapping[str, object],
    model: Plugin,
    dataset: str | Path,
    partition: str | Path | None,
    files: ImportedFiles,
    imported: ImportedModels,
    outputs: RunOutputs,
    fingerprint: str,
) -> None:
    """As `import_run`; then a model whose loss or accuracy the owner knows is evaluated.

    partition: file of the samples, needed where the owner has measured. Raises FedscapeError, with both
    numbers, where ours is another.
    """
    if imported.measured is not None and partition is None:
        raise ValueError("what was measured is checked on the samples of a partition, and there is none")
    import_run(
        identity=identity,
        model=model,
        dataset=dataset,
        files=files,
        imported=imported,
        outputs=outputs,
        fingerprint=fingerprint,
    )
    if imported.measured is not None and partition is not None:
        number = list(imported.rounds).index(imported.measured.round) if len(files.models) > 1 else 0
        spec = ProblemSpec(model, dataset, partition)
        check_measured(
            spec, Trajectory.open(outputs.trajectory), imported.measured, str(files.models[number])
        )


def check_measured(spec: ProblemSpec, models: Trajectory, known: MeasuredResult, source: str) -> None:
    """Refuse a model whose loss or accuracy here is not the one that its owner has measured.

    spec: on all samples of the split. source: of the model, for the message.
    """
    problem = open_problem(spec)
    if known.split not in problem.splits:
        raise FedscapeError(
            f"{source}: measured on the {known.split} samples, of which the data set has none"
        )
    evaluation = evaluate(problem.module, *models.state(known.round), problem.splits[known.split])
    for name, theirs, ours in (
        ("loss", known.loss, evaluation.loss),
        ("accuracy", known.accuracy, evaluation.accuracy),
    ):
        if theirs is not None and not abs(ours - theirs) <= known.tolerance * abs(theirs):
            raise FedscapeError(
                f"{source}: {known.split} {name} of round {known.round} is {ours:.6g} here, on "
                f"{evaluation.samples} samples, and was measured as {theirs:.6g} (tolerance "
                f"{known.tolerance:g}); is the data set normalised as it was in training (its mean, std, "
                "resize), are its samples the same, and does the model compute the same?"
            )
