"""Rounds and clients of any strategy of Flower's older interface, saved as fedscape imports them.

    class Saved(SaveRounds, FedAdam): ...
    Saved(folder="mine", names=model.state_dict().keys(), initial_parameters=..., eta=0.01)

writes mine/round-000.safetensors, mine/round-001.safetensors and mine/round-001/client-3.safetensors.
`fit` returns all values of the state_dict, in its order, and the metric `partition-id`.
"""

from pathlib import Path

from flwr.common import parameters_to_ndarrays
from safetensors.numpy import save_file


class SaveRounds:
    """A strategy before which this class stands in a list of bases saves each round; `folder` says where."""

    def __init__(self, *arguments, folder, names, **keywords):
        super().__init__(*arguments, **keywords)
        self.folder, self.names = Path(folder), list(names)

    def configure_fit(self, server_round, parameters, client_manager):
        self.model = parameters
        if server_round == 1:
            self.save("round-000", parameters)
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(self, server_round, results, failures):
        name = f"round-{server_round:03}"
        for _, result in results:
            self.save(f"{name}/client-{int(result.metrics['partition-id'])}", result.parameters)
        parameters, metrics = super().aggregate_fit(server_round, results, failures)
        self.save(name, self.model if parameters is None else parameters)  # without a result the model stays
        return parameters, metrics

    def save(self, name, parameters):
        path = self.folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(zip(self.names, parameters_to_ndarrays(parameters), strict=True)), path)
