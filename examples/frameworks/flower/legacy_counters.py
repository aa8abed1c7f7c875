"""FedAvg of the older interface of flwr 1.42.0 makes integer arrays 0: python legacy_counters.py.

Averages are taken in place (`inplace=True`, the default), where a weight below 1 becomes the integer 0. Batch
norm counts its batches in such an array. The Message API gives the mean, as a float64.
"""

import numpy as np
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server.strategy import FedAvg

parameters = ndarrays_to_parameters([np.array(8), np.array([8.0])])
results = [(None, FitRes(Status(Code.OK, ""), parameters, examples, {})) for examples in (30, 10)]
for inplace in (True, False):
    mean, _ = FedAvg(inplace=inplace).aggregate_fit(1, results, [])
    arrays = [array.tolist() for array in parameters_to_ndarrays(mean)]
    print(f"inplace={inplace}: {arrays}, expected [8, [8.0]]")
