"""Columns of planes: the models marked on them, and the loss over them."""

from fedscape.columns.column import L2, File, Flag, Index, Nats, Number, Share, Text, Whole
from fedscape.columns.identity import IDENTITY
from fedscape.columns.shared import Shared


class Planes:
    """`markers.csv`, `surface.csv`"""

    x: Number
    y: Number
    axes: Text
    """coordinates on the plane along its two directions, from its centre, and what these are: `pca`
    (principal directions), `models` (through three models), `eigenvectors` (of the Hessian): L2 distance in
    parameter space; `random`: multiples of a direction with each filter's norm"""
    i: Index
    j: Index
    """a surface's grid point: column along `x`, row along `y`"""
    client: Whole
    """whose model a marker is, or whose samples a surface's loss is the mean over; empty: the global model,
    all clients' samples"""
    role: Text
    point: Number
    """of a marker: `global` (model after `round`), `start`, `client` and `aggregate` (of one round: where it
    starts, what clients hand back, what becomes of it), `path` (a client after `point` local epochs),
    `diverged` (a run that ended early and is left out; no measures)"""
    residual: Number
    """distance of a model from the plane, as a share of its distance from the centre: 0 lies on it, 1 is
    perpendicular"""
    loss_under_policy: Nats
    """the model's own weights with the batch-norm statistics that the surface has there; equal to `loss`
    without batch norm"""
    loss_at_projection: Nats
    error_at_projection: Share
    """of the point where the marker is drawn; on a picture that tells the truth `loss_under_policy` and
    `loss_at_projection` agree"""
    own_loss: Nats
    own_loss_at_start: Nats
    """loss on the client's own samples: of its model, and of the model that its round started from"""
    distance_to_reference: L2
    distance_to_reference_path: L2
    distance_to_reference_end: L2
    """L2 distance, in all dimensions, to the plane's first run of the same seed: to its model after the same
    round, to the nearest point of its path, to its last model"""
    explained_x: Share
    explained_y: Share
    """share of the models' squared distances from the plane's centre that lies along each principal
    direction; a share of their variance only where the centre is their mean (kind `finals`, `centre: mean`)
    """
    curvature_x: Number
    curvature_y: Number
    """the Hessian's eigenvalues along eigenvector axes"""
    bottom_x: Number
    bottom_y: Number
    bottom_loss: Nats
    bottom_shift: L2
    """on the plane of one round's clients, the lowest point downhill from their aggregate: where it is, finer
    than the surface's grid, its loss, and how far apart the last two estimates of the place lie; empty where
    the loss keeps falling, and on other planes"""
    precision: Text
    """type in which the network was evaluated"""
    compiled: Flag
    """whether that was compiled, from which losses differ by rounding; the same on all of a surface"""
    interpolated: Flag
    interpolation_error: Number
    """whether a point's loss was filled in between evaluated ones (`error` and standard errors are empty
    then), and the largest relative error of such losses among the points that were evaluated to check it:
    other points may be farther off"""


MODEL_COLUMNS = ["round", "role", "client", "point"]
"""Which model of a run a marker is."""
MARKER_MEASURES = [
    "x", "y", "residual", "loss", "loss_under_policy", "loss_at_projection", "error", "error_at_projection",
    "own_loss", "own_loss_at_start",
]  # fmt: skip
"""What is evaluated of a marker's model."""
REFERENCE_DISTANCES = ["distance_to_reference", "distance_to_reference_path", "distance_to_reference_end"]
ABOUT_PLANE = [
    "explained_x", "explained_y", "curvature_x", "curvature_y", "bottom_x", "bottom_y", "bottom_loss",
    "bottom_shift", "axes", "batch_norm", "samples",
]  # fmt: skip
"""What is the same in all rows of a plane's markers."""
POINT_MEASURES = ["loss", "loss_se", "error", "error_se"]
"""What is evaluated of a point of a surface."""

MARKERS_CSV = File(
    names=[*IDENTITY, "plane", "group"],
    row_keys=MODEL_COLUMNS,
    measures=[*MARKER_MEASURES, *REFERENCE_DISTANCES, *ABOUT_PLANE],
    families=(Shared, Planes),
    entry="plane",
    has_rows=True,
)
SURFACE_CSV = File(
    names=[*IDENTITY, "plane", "group"],
    row_keys=["client", "i", "j"],
    measures=[
        "x", "y", *POINT_MEASURES, "samples", "batch_norm", "precision", "compiled", "interpolated",
        "interpolation_error", "axes",
    ],
    families=(Shared, Planes),
    entry="plane",
)  # fmt: skip
