"""fluke's FedDyn remembers the opposite of the paper's sum of changes, times alpha.

    python examples/frameworks/fluke/feddyn_sign.py

Two clients with losses (w - 1)² and 4 (w - 0)², mean optimum w = 0.2. FedDyn's fixed point is that optimum,
for any number of local steps: each client's memory becomes what its own gradient lacks there. fluke 0.8.1
adds alpha (w - y_i) to the memory and alpha times the memory to the gradient (algorithms/feddyn.py, `fit`),
where the rule has y_i - w in it; the server adds the mean memory (`aggregate`). The last line has y_i - w.
"""

from fluke.algorithms.fedavg import FedAVG
from fluke.algorithms.feddyn import FedDyn
from mended import MendedFedDyn
from small import federation

CLIENTS = [([1.0], [1.0]), ([2.0], [0.0])]

for kind, more in ((FedAVG, {}), (FedDyn, {"alpha": 0.5}), (MendedFedDyn, {"alpha": 0.5})):
    built = federation(kind, CLIENTS, local_epochs=5, **more)
    built.run(200, 1.0)
    model = getattr(built.server, "cld_mdl", built.server.model)
    print(f"{kind.__name__}: w after 200 rounds: {model.w.item():.6f} (mean optimum 0.2)")
