"""Clients' vectors between rounds, on disk: memory does not grow with the number of clients.

One file holds two records a client. A round writes the record that is not in use; the caller commits by
saving `slots`, which says for each client which record counts: 0 none yet, 1 the first, 2 the second. A kill
therefore leaves at worst records that nobody reads. Rows go through ordinary reads and writes, not a memory
map: on a full disk a write raises, and what was read does not count as the process's memory. The file is
sparse: a client that has never taken part takes no space.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fedscape.checkpoints.writer import write_all

DTYPES = {torch.float32: np.dtype("<f4"), torch.int64: np.dtype("<i8")}
Entries = Mapping[str, tuple[torch.dtype, int]]  # name -> type, length


class ClientStore:
    """The vectors of every client.

    entries: what a client keeps. slots: uint8 [clients], as the last commit saved them; None for a fresh
    store. `lost` says that the file is missing or cut off, although `slots` has records in it.
    """

    def __init__(self, path: Path, entries: Entries, clients: int, slots: Tensor | None = None):
        self.entries = dict(entries)
        self.slots = torch.zeros(clients, dtype=torch.uint8) if slots is None else slots.cpu().clone()
        self._pending = self.slots.clone()
        self._record = sum(DTYPES[dtype].itemsize * length for dtype, length in self.entries.values())
        size = 2 * clients * self._record
        self.lost = bool(self.slots.any()) and (not path.exists() or path.stat().st_size != size)
        path.touch()
        self._file = path.open("r+b", buffering=0)
        if path.stat().st_size != size:
            self._file.truncate(0)
            self._file.truncate(size)

    def __bool__(self) -> bool:
        """Whether clients keep anything."""
        return bool(self.entries)

    def knows(self, client: int) -> bool:
        """Whether the client has a committed record."""
        return bool(self.slots[client])

    def read(self, client: int) -> dict[str, Tensor]:
        """The client's committed vectors by name, on the CPU; zeros before its first commit."""
        slot = int(self.slots[client])
        raw = bytearray(self._record)
        if slot:
            self._file.seek(self._offset(client, slot))
            view = memoryview(raw)
            while view:  # a read may be partial (beyond 2 GB it is)
                count = self._file.readinto(view)
                if not count:
                    raise OSError(f"{self._file.name}: cut off")
                view = view[count:]
        vectors, start = {}, 0
        for name, (dtype, length) in self.entries.items():
            values = np.frombuffer(raw, DTYPES[dtype], length, start)
            vectors[name] = torch.from_numpy(values)
            start += values.nbytes
        return vectors

    def write(self, client: int, vectors: Mapping[str, Tensor]) -> None:
        """Write what the client keeps from now on; it counts once `slots` have been saved after `commit`."""
        slot = 1 if self.slots[client] == 2 else 2
        pieces = []
        for name, (dtype, length) in self.entries.items():
            values = vectors[name].detach().cpu().to(dtype).numpy()
            if values.shape != (length,):
                raise ValueError(f"client state {name}: shape {values.shape}, expected {(length,)}")
            pieces.append(np.ascontiguousarray(values, DTYPES[dtype]).tobytes())
        self._file.seek(self._offset(client, slot))
        write_all(self._file, np.frombuffer(b"".join(pieces), np.uint8))
        self._pending[client] = slot

    def commit(self) -> None:
        """Make the written records survive a power cut and the ones that count."""
        os.fsync(self._file.fileno())
        self.slots = self._pending.clone()

    def close(self) -> None:
        self._file.close()

    def _offset(self, client: int, slot: int) -> int:
        return (2 * client + slot - 1) * self._record
