"""Stored samples as jobs use them: copied to the device that computes, or read from disk batch by batch.

Either way the same numbers reach a network, so the limits change no result.
"""

import os
import weakref

import numpy as np
import torch
from torch import Tensor

from fedscape.data.checksums import PREPARE
from fedscape.errors import FedscapeError

MOST_COPIED = 2**30
"""Bytes of a split that are copied into the memory of a CPU; CIFAR-10 has 0.15e9, ImageNet-200 about 47e9."""
GPU_SHARE = 2 / 3
"""Share of a GPU's free memory up to which a split is copied there; a network needs the rest."""
BLOCK_BYTES = 2**27
"""Bytes that are copied at a time."""


class OnDisk:
    """Rows of a memory map, used like a tensor [n, ...]: indexing reads them, onto the device.

    Through ordinary reads, not the map, whose pages would count as memory of the process.

    array: [N, ...], the memory map of a file. indices: int64 [n], which of its rows.
    """

    def __init__(self, array: np.ndarray, indices: np.ndarray, device: torch.device):
        if not isinstance(array, np.memmap) or array.filename is None:
            raise ValueError("rows are read from the memory map of a file")
        self._path, self._begin = array.filename, array.offset
        self._indices, self._dtype = indices, array.dtype
        self._row = array.dtype.itemsize * int(np.prod(array.shape[1:]))
        self._file = os.open(self._path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        self.device = device
        self.shape = torch.Size([len(indices), *array.shape[1:]])
        self.ndim = array.ndim

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self._row * len(self._indices)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The rows at positions [...] or of a slice: [..., *shape]."""
        indices = self._indices[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        return torch.from_numpy(self._read(indices)).to(self.device)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        rows = np.empty((*indices.shape, *self.shape[1:]), self._dtype)
        flat_rows, flat_indices = rows.reshape(-1, *self.shape[1:]), indices.ravel()
        # Rows that lie side by side are read at once.
        for part in np.split(np.arange(len(flat_indices)), np.flatnonzero(np.diff(flat_indices) != 1) + 1):
            if len(part):
                unread = flat_rows[part[0] : part[-1] + 1].data.cast("B")
                start = self._begin + self._row * int(flat_indices[part[0]])
                while unread:  # a read may be partial
                    count = os.preadv(self._file, [unread], start)
                    if not count:
                        raise FedscapeError(f"{self._path}: cut off while it was read; {PREPARE}")
                    unread, start = unread[count:], start + count
        return rows


def copied_or_left(array: np.ndarray, indices: np.ndarray, device: torch.device) -> Tensor | OnDisk:
    """Rows `indices` [n] of a memory map [N, ...], copied to the device unless they would fill it."""
    stored = OnDisk(array, indices, device)
    most = MOST_COPIED
    if device.type == "cuda":
        most = GPU_SHARE * torch.cuda.mem_get_info(device)[0]
    if stored.nbytes > most:
        return stored
    copied = torch.empty(stored.shape, dtype=stored[:0].dtype, device=device)
    step = max(1, BLOCK_BYTES // max(1, stored.nbytes // max(1, len(indices))))
    for start in range(0, len(indices), step):
        copied[start : start + step] = stored[start : start + step]
    return copied
