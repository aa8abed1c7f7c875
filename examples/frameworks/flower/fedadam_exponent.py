"""FedAdam of flwr 1.42.0 corrects the bias of round t as if it were round t + 1: python fedadam_exponent.py.

With the correction of Kingma & Ba and a tiny τ, the first step is η, whatever the change.
"""

from types import SimpleNamespace

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam


def first_step(number):
    """The first step of a FedAdam that is told that its round is `number`."""
    strategy = FedAdam(eta=0.1, beta_1=0.9, beta_2=0.99, tau=1e-12)
    strategy.current_arrays = {"w": np.zeros(1)}  # as `configure_train` leaves it
    arrays = ArrayRecord({"w": Array(np.array([3.0]))})
    content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
    reply = SimpleNamespace(has_error=lambda: False, content=content)
    return float(strategy.aggregate_train(number, [reply])[0]["w"].numpy()[0])


print(f"round 1, as `start` calls it: {first_step(1):.4f}; expected 0.1000")
print(f"round 0: {first_step(0):.4f}")
