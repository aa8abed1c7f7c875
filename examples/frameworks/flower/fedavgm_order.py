"""FedAvgM of flwr 1.42.0 pairs arrays by their position, not by their name: python fedavgm_order.py.

If the initial arrays stand in another order than those of the clients (a file of safetensors is sorted by
name, a state_dict is not), arrays of the same shape are mixed up without a word; others raise a ValueError.
"""

from types import SimpleNamespace

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvgM

# A client that hands back what it was given, in another order.
strategy = FedAvgM(server_learning_rate=0.5)
strategy.current_arrays = ArrayRecord({"a": Array(np.array([0.0])), "b": Array(np.array([100.0]))})
arrays = ArrayRecord({"b": Array(np.array([100.0])), "a": Array(np.array([0.0]))})
content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
reply = SimpleNamespace(has_error=lambda: False, content=content)
result, _ = strategy.aggregate_train(1, [reply])
print({name: array.numpy().tolist() for name, array in result.items()}, "expected: a 0, b 100")
