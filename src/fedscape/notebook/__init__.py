"""Landscapes, curvature, barriers and drift of any models of any network, without a study and without files.

Each takes a PyTorch module and its models, as state_dicts or files of them, and gives tables with the columns
of the workflow's CSVs, computed by the functions of its stages.
"""

from fedscape.notebook.landscape import Landscape, landscape
from fedscape.plugins import Plugin
from fedscape.settings.planes import SurfaceSettings

__all__ = ["Landscape", "Plugin", "SurfaceSettings", "landscape"]
