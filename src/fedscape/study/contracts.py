"""What a plug-in's file may hold, by role: constants that are read from its source, functions, `Settings`.

What a rule cannot say yet is one more row here and its reader in the engine; `contract_check` then knows
the name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args, get_origin, get_type_hints

from fedscape import fields
from fedscape.moment import Moment
from fedscape.settings.training import TrainingSettings

FIGURE_SOURCES = ("plane", "connectivity", "curvature", "table", "partitions")
"""Keys of a figure's entry, one of which says what it is drawn from."""
MEASURE_SOURCES = (
    *("runs", "rounds", "timing", "markers", "surface", "barriers", "curve_barriers", "layers", "distances"),
    "curvature",
)
"""CSVs that a measure reads, by name."""


@dataclass(frozen=True)
class Constant:
    """A literal at the top level of a plug-in's file, which the study layer reads without importing it."""

    type: object  # an annotation, as of a field of `Settings`; a list stands for a tuple
    example: object
    meaning: str
    required: bool = False

    @property
    def allowed(self) -> str:
        """Its type as Python has it, or the values that it may have."""
        is_tuple = get_origin(self.type) is list
        item = get_args(self.type)[0] if is_tuple else self.type
        if get_origin(item) is Literal:
            return ("a tuple of " if is_tuple else "") + ", ".join(map(repr, get_args(item)))
        return item.__name__ if isinstance(item, type) else str(item)


@dataclass(frozen=True)
class Function:
    """A function at the top level of a plug-in's file, defined or imported there."""

    parameters: tuple[str, ...]
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class Contract:
    """What the files of one role may hold beside the fields of `Settings`."""

    called: str  # with its article
    functions: Mapping[str, Function]
    constants: Mapping[str, Constant] = field(default_factory=dict)
    settings_methods: Mapping[str, Function] = field(default_factory=dict)


# What `Settings` may use, which is compiled by itself, by where it is imported from.
_LENT: Mapping[str, Mapping[str, object]] = {
    "dataclasses": {"dataclass": dataclass, "field": field},
    "typing": {"Literal": Literal},
    "fedscape.moment": {"Moment": Moment},
    "fedscape.fields": {
        name: value for name, value in vars(fields).items() if name[0].isupper() and value is not Literal
    },
}
LENT_NAMES: Mapping[str, object] = {
    "math": math,
    **{name: value for names in _LENT.values() for name, value in names.items()},
}
"""What a `Settings` class may use beside Python's own names."""
IMPORTS: Mapping[str, str] = {
    "math": "import math",
    **{name: f"from {module} import {name}" for module, names in _LENT.items() for name in names},
}
"""The line that a file has, for each of these names that it uses."""

_AGGREGATION_WEIGHTS = get_type_hints(TrainingSettings)["weights"]
_CHECK = {
    "check": Function(("self", "training"), "raises ValueError for training settings that do not go with it")
}
_FOR_CLIENTS = Constant(bool, True, "whether it is for planes of clients' models (else for any plane)")

CONTRACTS: Mapping[str, Contract] = {
    "dataset": Contract(
        "a data set",
        {
            "load": Function(
                ("settings", "data_root", "name"), "reads the raw files: samples and labels", required=True
            )
        },
        {
            "INPUTS": Constant(Literal["images", "tokens"], "tokens", "what its samples are (else images)"),
            "TRAIN_SAMPLES": Constant(
                int | dict,
                60_000,
                "number of train samples, or one by `part`: asking for more is refused at `-n`",
            ),
            "TEST_SAMPLES": Constant(int | dict, 10_000, "likewise, number of test samples"),
        },
    ),
    "partition": Contract(
        "a partition scheme",
        {
            "split": Function(
                ("labels", "clients", "settings", "rng", "natural"),
                "positions of each client's samples",
                required=True,
            )
        },
        {
            "BY_LABEL": Constant(bool, True, "it needs one label per sample, so it does not deal sequences"),
            "OWN_CLIENTS": Constant(bool, True, "an entry may leave out `clients`"),
        },
    ),
    "model": Contract(
        "a model",
        {
            "build": Function(("settings", "shape", "classes"), "the network", required=True),
            "torchvision_name": Function(
                ("name",), "what torchvision calls a tensor of it; None for its own"
            ),
        },
        {
            "INPUTS": Constant(
                Literal["images", "tokens", "any"], "tokens", "what the network takes (else images)"
            )
        },
    ),
    "initial": Contract(
        "a start",
        {"weights": Function(("settings", "context"), "the state_dict that runs start from", required=True)},
        {"TRAINS": Constant(bool, True, "it is trained for, so its job waits in the queue of a cluster")},
    ),
    "algorithm": Contract(
        "an algorithm",
        {
            "loss": Function(
                ("network", "parameters", "batch", "client", "context"),
                "what one client minimises on a batch",
                required=True,
            ),
            "step_draws": Function(
                ("settings", "generator", "samples"), "a client's random numbers for a step: `batch.draws`"
            ),
            "shared_draws": Function(
                ("settings", "generator", "network"),
                "those that change shapes, the same for all clients: `context.drawn`",
            ),
            "adjust_gradient": Function(
                ("gradient", "parameters", "client", "context"),
                "the step's gradient [lanes, P], before clipping and the optimiser; elementwise",
            ),
            "gradient_point": Function(
                ("parameters", "client", "context"),
                "where the step's only gradient is taken [lanes, P], if not at the model; row by row",
            ),
            "perturbation": Function(
                ("gradient", "parameters", "client", "context"),
                "what is added to the model for the step's second gradient [lanes, P], in place of what "
                "`sam` adds (refuse it in `check`), and the client's vectors that change with it, by name",
            ),
            "client_state": Function(
                ("layout",),
                "names and lengths of the vectors that each client keeps between rounds; zeros at first",
            ),
            "shared_state": Function(("layout",), "likewise, those that the server keeps"),
            "start": Function(
                ("client", "context"), "the model that a client starts from, if not the global one"
            ),
            "after_client": Function(
                ("result", "client", "context"),
                "what the client keeps, and hands to the server beside its model",
            ),
            "aggregate": Function(
                ("gathered", "context"),
                "where the clients want the global model to go, and what the server keeps",
            ),
        },
        {
            "WEIGHTS": Constant(
                _AGGREGATION_WEIGHTS,
                "uniform",
                "aggregation weights, if the paper's are not by size and the study says nothing",
            ),
            "FULL_GRADIENT": Constant(
                bool, True, "it reads `result.start_gradient`, an extra pass over each client's samples"
            ),
            "INPUTS": Constant(Literal["images"], "images", "the only inputs that it takes (else any)"),
        },
        settings_methods=_CHECK,
    ),
    "server": Contract(
        "a server rule",
        {
            "step": Function(
                ("settings", "parameters", "aggregate", "state"),
                "the next global model, and its state",
                required=True,
            ),
            "extrapolate": Function(
                ("settings", "parameters", "aggregate", "squares"),
                "the aggregate that `step` is given, if not the clients' own; `squares` is the weighted mean "
                "of their squared distances from the global model, a scalar",
            ),
        },
        settings_methods=_CHECK,
    ),
    "plane": Contract(
        "a plane kind",
        {
            "marks": Function(("material", "settings"), "the models that are marked on it", required=True),
            "plane": Function(("material", "settings"), "its centre and its two directions", required=True),
        },
        {
            "AXES": Constant(
                str,
                "pca",
                "what its directions are, in any word (`figures/surface.py` has better ones for some)",
                required=True,
            ),
            "CLIENTS": Constant(bool, False, "whether it needs clients' models", required=True),
            "FEWEST_RUNS": Constant(int, 2, "runs that a group must have (else 1)"),
            "MOST_RUNS": Constant(int | None, 1, "runs that it may have (else any number)"),
            "THROUGH_MODELS": Constant(
                bool, True, "models span it, so that buffers can be interpolated like the weights"
            ),
        },
    ),
    "figure": Contract(
        "a figure kind",
        {
            "draw": Function(
                ("frames", "settings", "labels"),
                "the figure, of CSVs by what they hold, first the table that it is drawn from",
                required=True,
            ),
            "diagnostics": Function(
                ("frames", "settings", "labels"),
                "what the figure leaves out in print, as a figure of its own, or None",
            ),
        },
        {
            "SOURCES": Constant(
                list[Literal[FIGURE_SOURCES]], ("plane",), "what it may be drawn from", required=True
            ),
            "CAPTION": Constant(
                str, "One line per run.", "how to read it, below the figure on the study's page"
            ),
            "CLIENTS": _FOR_CLIENTS,
            "CONNECTION": Constant(
                Literal["path", "curve", "layers"], "path", "the kind of connection that it draws"
            ),
            "COLUMNS": Constant(
                list[str], ("measure",), "its settings that name columns of the table that it is drawn from"
            ),
            "VARIED": Constant(
                list[str], ("along",), "its settings that name a column of runs' names or a setting in a grid"
            ),
            "BESIDE": Constant(
                list[Literal["runs", "rounds"]],
                ("runs",),
                "tables that it is given beside the one that it is drawn from",
            ),
        },
    ),
    "measure": Contract(
        "a measure",
        {
            "value": Function(
                ("frames", "settings"), "the number, NaN if it was not measured", required=True
            ),
            "standard_error": Function(
                ("frames", "settings"), "its standard error over samples, NaN if unknown"
            ),
        },
        {
            "SOURCES": Constant(
                list[Literal[MEASURE_SOURCES]], ("runs", "rounds"), "CSVs that it reads", required=True
            ),
            "CLIENTS": _FOR_CLIENTS,
            "QUANTITY": Constant(
                Literal["eigenvalue", "trace", "hessian_agreement", "sharpness", "flatness_gap"],
                "trace",
                "what it reads of a curvature: an entry that measures none is refused at `-n`",
            ),
            "TOGETHER": Constant(
                bool, True, "its standard error is over the seeds of a case: claims may take them together"
            ),
            "SEVERAL": Constant(
                bool, True, "one value of a seed's several runs; its setting `choose` works by itself"
            ),
        },
    ),
}
