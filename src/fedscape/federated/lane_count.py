"""The number of lanes of `lanes: auto`."""

from fedscape.evaluation.evaluate import IMAGES, EvaluationSet
from fedscape.settings.training import TrainingSettings

SMALL_IMAGE = 16
"""Pixels of the longer side up to which stacking pays on a CPU: a step's time is then mostly the overhead of
its many small operations. At 32x32 the convolutions dominate, and a grouped one is no faster than several
plain ones (`benchmarks/engine.py`)."""
CPU_LANES = 10
"""Enough for most of the gain on a CPU."""
GPU_LANES, GPU_PIXELS = 16, 16 * 64 * 32 * 32
"""On a GPU, not measured yet: the participants of the FedAlign study with its batches of 64 images of 32x32,
and as many pixels at once where batches or images are larger, so that memory is about the same."""


def lane_count(training: TrainingSettings, data: EvaluationSet, participants: int) -> int:
    """Lanes for clients that train on `data`, never more than there are participants in a round."""
    if training.lanes != "auto":
        return min(training.lanes, participants)
    if data.inputs.ndim != IMAGES:
        return 1  # a transformer's matrix products are large, and nothing has been measured
    height, width = data.inputs.shape[-2:]
    if data.inputs.device.type == "cuda":
        lanes = min(GPU_LANES, max(1, GPU_PIXELS // (training.batch_size * height * width)))
    else:
        lanes = CPU_LANES if max(height, width) <= SMALL_IMAGE else 1
    return min(lanes, participants)
