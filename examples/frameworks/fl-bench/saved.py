"""The files in saved/: a run of FL-bench's FedAvg whose rounds are saved.

    PYTHONPATH=CLONE:examples/frameworks python examples/frameworks/fl-bench/saved.py FOLDER

leaves them in FOLDER/out/fedavg/ours/<time>/; last.pt is FL-bench's own file there, under a shorter name.
"""

import sys
from pathlib import Path

from save_rounds import save, watch
from small import federation
from system import decoupled
from tiny import Tiny

watch(save)
tiny = Tiny()
settings = {
    "method": "fedavg",
    "common.global_epoch": 2,
    "common.local_epoch": 1,
    "common.save_model": "true",
}
federation(Path(sys.argv[1]).resolve(), decoupled(tiny.base, tiny.head), clients=2, **settings)
