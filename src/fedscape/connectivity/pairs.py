"""Stage `layers`: layer-wise barriers and distances between pairs of models of a study's runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from fedscape.checkpoints.checkpoint import Checkpoints
from fedscape.checkpoints.run_files import RunFiles
from fedscape.columns import connectivity as columns
from fedscape.connectivity.endpoints import Endpoint, ModelPair, endpoints, pair_names
from fedscape.connectivity.layer_distances import WHOLE_MODEL, distances
from fedscape.connectivity.layer_groups import chosen_layers, layers_of
from fedscape.connectivity.layer_merges import Model
from fedscape.connectivity.layerwise import barrier_rows, layerwise_barriers
from fedscape.connectivity.matching import match_weights, permuted, units_moved
from fedscape.connectivity.permutations import Permutations, permutations_of
from fedscape.connectivity.repair import check_repairable, repair, repaired
from fedscape.evaluation.evaluate import Evaluation, SampleSet, evaluate
from fedscape.evaluation.problem import Problem, ProblemSpec, open_problem
from fedscape.jobs.resume import Resume, ResumeFolder, counts_to
from fedscape.jobs.step_rows import join_steps, write_step
from fedscape.settings.connectivity import Alignment, LayersSettings

LAYERS_FILE, DISTANCES_FILE = "layers.csv", "distances.csv"
PAIR_ORDER = [*columns.LAYERS_CSV.names, *columns.MODELS]
LAYER_ORDER = [*PAIR_ORDER, "split", "measure", "regime", "averaged", "depth", "rest", "draw"]
"""Of a pair's mixtures: as an order of layers averages them, one after the other."""
DISTANCE_ORDER = [*PAIR_ORDER, "depth"]
REPAIRED: Mapping[Alignment, Alignment] = {"none": "repair", "weights": "weights-repair"}
"""Alignments, and what each is called with repaired activations; of these there is the full average alone."""


def evaluate_pairs(
    *,
    runs: Sequence[RunFiles],
    pairs: Sequence[ModelPair],
    problem: ProblemSpec,
    settings: LayersSettings,
    resume: Resume,
    out_layers: str | Path,
    out_distances: str | Path,
) -> None:
    """Write layers.csv and distances.csv of all pairs; killed at any moment and called again, it resumes.

    runs: with the files of clients' models where pairs are of these. settings: regimes, order_seed,
    directions as in `layerwise_barriers`, groups as in `chosen_layers`; alignment: `none` as the models are,
    `weights` with the second one's units matched to the first's, `repair` and `weights-repair` the full
    average alone with its activations repaired.
    A pair of which a model is missing (its run diverged before, its client did not take part) is left out
    with a note. Raises FedscapeError where units cannot be matched, or activations not repaired.
    """
    averages = Averages.open(open_problem(problem), settings)
    checkpoints = Checkpoints.open(averages.problem.module, runs)
    tasks: list[tuple[ModelPair, Alignment]] = [
        (pair, matching) for pair in pairs for matching in averages.matchings
    ]
    with ResumeFolder(resume, valid=counts_to(len(tasks))) as folder:
        for number, (pair, matching) in folder.steps(tasks, "{} of {} averages of two models"):
            if ends := endpoints(checkpoints, pair, averages.problem.device):
                names = pair_names(
                    [run.identity for run in runs], (ends[0].checkpoint, ends[1].checkpoint), settings.between
                )
                rows, lengths = averages.rows(*ends, matching)
                write_step(folder.folder, number, LAYERS_FILE, [{**names, **row} for row in rows])
                write_step(folder.folder, number, DISTANCES_FILE, [{**names, **row} for row in lengths])
        if not folder.finished:
            join_steps(folder.folder, LAYERS_FILE, columns.LAYERS_CSV, LAYER_ORDER)
            join_steps(folder.folder, DISTANCES_FILE, columns.DISTANCES_CSV, DISTANCE_ORDER)
        folder.finish({LAYERS_FILE: out_layers, DISTANCES_FILE: out_distances})


@dataclass(frozen=True)
class Averages:
    """What is evaluated of every pair.

    layers: name -> its tensors. permutations: the network's, where units are matched.
    """

    problem: Problem
    settings: LayersSettings
    layers: Mapping[str, tuple[str, ...]]
    permutations: Permutations | None

    @classmethod
    def open(cls, problem: Problem, settings: LayersSettings) -> "Averages":
        """Refuses what cannot be done before anything is computed."""
        layout = problem.layout
        names = [[name for name, _ in entries] for entries in (layout.parameters, layout.buffers)]
        layers = chosen_layers(layers_of(*names), settings.groups)
        matched = any(alignment.startswith("weights") for alignment in settings.alignment)
        permutations = permutations_of(problem.module) if matched else None
        if any(alignment in settings.alignment for alignment in REPAIRED.values()):
            check_repairable(problem.module)
        return cls(problem, settings, layers, permutations)

    @property
    def matchings(self) -> list[Alignment]:
        """Whether units are matched: `none`, `weights` or both, each of which gives averages."""
        asked = self.settings.alignment
        return [matching for matching, mended in REPAIRED.items() if matching in asked or mended in asked]

    def rows(
        self, first: Endpoint, second: Endpoint, matching: Alignment
    ) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        """Rows of layers.csv and distances.csv of one pair, without the names of its ends."""
        model, moved = second.model, math.nan
        if self.permutations is not None and matching != "none":
            orders = match_weights(
                self.permutations, first.model[0], second.model[0], self.settings.order_seed
            )
            parameters, buffers = (permuted(tensors, self.permutations, orders) for tensors in second.model)
            model, moved = (parameters, buffers), units_moved(orders)
        alignments: list[Alignment] = [matching, REPAIRED[matching]]
        rows = [
            {"alignment": alignment, **row, "batch_norm": self.problem.policy(self.settings.batch_norm)}
            for alignment in alignments
            if alignment in self.settings.alignment
            for row in self._barriers(first.model, model, alignment)
        ]
        # After matching, the second one's start is none to compare it with.
        start = second.start if matching == "none" else None
        lengths = [
            {"alignment": matching, **row, "units_moved": moved if row["layer"] == WHOLE_MODEL else math.nan}
            for row in distances(first.model[0], model[0], self.layers, first.start, start)
        ]
        return rows, lengths

    def _barriers(self, first: Model, second: Model, alignment: Alignment) -> list[dict]:
        problem, settings = self.problem, self.settings
        data = problem.splits
        if alignment not in REPAIRED:
            return _repaired(problem.module, first, second, data, len(self.layers))
        return layerwise_barriers(
            problem.module, first, second, data, self.layers, settings.regimes, settings.order_seed,
            settings.directions, settings.batch_norm,
        )  # fmt: skip


def _repaired(
    module: nn.Module, first: Model, second: Model, data: Mapping[str, SampleSet], layers: int
) -> list[dict]:
    """Rows of the full average of two models whose activations are repaired."""

    def evaluated(parameters: Mapping[str, Tensor]) -> dict[str, Evaluation]:
        return {
            split: evaluate(module, dict(parameters), dict(first[1]), samples)
            for split, samples in data.items()
        }

    end_values = evaluated(first[0]), evaluated(second[0])
    mean = {name: (tensor + second[0][name]) / 2 for name, tensor in first[0].items()}
    mixture, *ends = ({**parameters, **first[1]} for parameters in (mean, first[0], second[0]))
    with repaired(module, repair(module, mixture, ends[0], ends[1], data["train"])):
        rows = barrier_rows(evaluated(mean), *end_values)
    whole = {"regime": "full", "layer": "", "depth": -1, "averaged": layers, "rest": "both", "draw": 0}
    return [{**whole, **row} for row in rows]
