"""Every stage and every section of a study that looks at runs."""

from collections.abc import Mapping

from fedscape.study.stages.connectivity import CONNECTIVITY_SECTION, CURVE, LAYERS, PATH
from fedscape.study.stages.curvature import CURVATURE, CURVATURE_SECTION
from fedscape.study.stages.data import DATASET, PARTITION
from fedscape.study.stages.drift import DRIFT, DRIFT_SECTION
from fedscape.study.stages.figures import FIGURE
from fedscape.study.stages.imported import IMPORT
from fedscape.study.stages.page import PAGE
from fedscape.study.stages.planes import EXPORT, PLANE, PLANES_SECTION, SURFACE, SURFACE_PART
from fedscape.study.stages.stage import Section, Stage
from fedscape.study.stages.tables import CLAIMS, COSTS, TABLE, TABLES
from fedscape.study.stages.training import INITIAL, PRETRAIN, TRAIN

_STAGES = (
    *(DATASET, PARTITION, INITIAL, PRETRAIN, TRAIN, IMPORT),
    *(PLANE, SURFACE_PART, SURFACE, EXPORT, PATH, CURVE, LAYERS, CURVATURE, DRIFT),
    *(TABLES, COSTS, CLAIMS, TABLE, FIGURE, PAGE),
)
_SECTIONS = (
    PLANES_SECTION,
    CONNECTIVITY_SECTION,
    CURVATURE_SECTION,
    DRIFT_SECTION,
)

STAGES: Mapping[str, Stage] = {stage.name: stage for stage in _STAGES}
"""By the names of their rules."""
SECTIONS: Mapping[str, Section] = {section.name: section for section in _SECTIONS}
"""By their keys in a study file."""
SECTION_OF_ENTRY = {section.entry: section.name for section in _SECTIONS if section.entry}
"""What a claim, a table or a figure calls the entry that it is about -> the section that holds it."""
LOCAL = tuple(stage.name for stage in _STAGES if stage.local)
"""Rules whose jobs run where Snakemake does, not in the queue of a cluster."""
