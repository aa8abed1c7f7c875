"""The device that trains, set up so that the same run gives the same bits again."""

import os

import torch

from fedscape.errors import FedscapeError


def prepare_device(name: str, precision: str = "fp32") -> torch.device:
    """The torch device `name` ("cpu", "cuda", "cuda:1"); a device that is not there is a FedscapeError.

    On CUDA, process-wide: deterministic kernels, so that a resumed run equals an uninterrupted one, and TF32
    only where the precision is `tf32`, so that float32 means float32 on every card.
    """
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise FedscapeError(f"device {name}: PyTorch sees no CUDA device here; allowed is cpu")
        # cuBLAS reads these when it starts. Without the first its results may differ from run to run, and
        # another value gives other bits; the second would override the TF32 settings below.
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
        # Only a warning where an operation has no deterministic kernel: most of these (max pooling without
        # overlap, for one) still give the same bits. No filling of fresh memory: all of it is written.
        torch.use_deterministic_algorithms(True, warn_only=True)
        # A property that PyTorch gives the module when it is imported.
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    return device
