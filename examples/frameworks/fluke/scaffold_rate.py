"""fluke's SCAFFOLD divides by the rate after the scheduler's step, not by the one of the steps.

    python examples/frameworks/fluke/scaffold_rate.py

One client, one step: by the paper's option II its control variate is the gradient of that step, (w - y) /
(K lr) = 2 (w - 0) = 2. fluke 0.8.1 asks the scheduler after its step (algorithms/scaffold.py, `fit`), so
with a rate that is halved after each epoch the control variate is twice that. At a constant rate it is
right.
"""

from fluke.algorithms.scaffold import SCAFFOLD
from small import federation

for gamma in (1, 0.5):
    schedule = {"name": "StepLR", "step_size": 1, "gamma": gamma}
    built = federation(SCAFFOLD, [([1.0], [0.0])], scheduler=schedule)
    built.run(1, 1.0)
    control = built.clients[0].control["w"].item()
    print(f"rate times {gamma} after each epoch: control variate {control:.6f} (gradient 2)")
