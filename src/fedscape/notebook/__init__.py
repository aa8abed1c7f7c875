"""Landscapes, curvature, barriers and drift of any models of any network, without a study and without files.

Each takes a PyTorch module and its models, as state_dicts or files of them, and gives tables with the columns
of the workflow's CSVs, computed by the functions of its stages.
"""

from fedscape.notebook.barriers import Barriers, barriers
from fedscape.notebook.curvature import CurvatureTables, curvature
from fedscape.notebook.drift import drift
from fedscape.notebook.landscape import Basins, Landscape, landscape
from fedscape.plugins import Plugin
from fedscape.settings.connectivity import LayersSettings, PathSettings
from fedscape.settings.curvature import CurvatureSettings, DensitySettings, SharpnessSettings
from fedscape.settings.planes import SurfaceSettings

__all__ = [
    "Barriers",
    "Basins",
    "CurvatureSettings",
    "CurvatureTables",
    "DensitySettings",
    "Landscape",
    "LayersSettings",
    "PathSettings",
    "Plugin",
    "SharpnessSettings",
    "SurfaceSettings",
    "barriers",
    "curvature",
    "drift",
    "landscape",
]
