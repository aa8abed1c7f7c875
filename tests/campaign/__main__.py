"""Plays many damaged inputs against fedscape and says how each ends: `python tests/campaign --cases 10000`.

With `PYTHONPATH=src`, in the repository. Each case is one of a kind by its number: `--only csv:17` plays it again.
What is played stands, a line a case, in the file of `--out`, and is not played twice. docs/reliability.md says
what counts as right.
"""

import os
import sys
from pathlib import Path

os.environ.update(
    OMP_NUM_THREADS="1", MPLBACKEND="Agg"
)  # before torch: forked processes have no other threads
TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "helpers"))

from campaign import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
