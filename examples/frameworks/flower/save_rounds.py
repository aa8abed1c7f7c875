"""Rounds and clients of any strategy of Flower's Message API, saved as fedscape imports them.

    class Saved(SaveRounds, FedAdam): ...
    Saved(folder="mine", eta=0.01).start(grid, ArrayRecord(model.state_dict()), num_rounds=20)

writes mine/round-000.safetensors, mine/round-001.safetensors and mine/round-001/client-3.safetensors.
Clients send `ConfigRecord({"partition-id": context.node_config["partition-id"]})` beside arrays and metrics.
"""

from pathlib import Path

from safetensors.numpy import save_file


class SaveRounds:
    """A strategy before which this class stands in a list of bases saves each round; `folder` says where."""

    def __init__(self, *arguments, folder, **keywords):
        super().__init__(*arguments, **keywords)
        self.folder = Path(folder)

    def configure_train(self, server_round, arrays, config, grid):
        self.model = arrays
        if server_round == 1:
            self.save("round-000", arrays)
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round, replies):
        replies, name = list(replies), f"round-{server_round:03}"
        for content in (reply.content for reply in replies if not reply.has_error()):
            (config,), (arrays,) = content.config_records.values(), content.array_records.values()
            self.save(f"{name}/client-{int(config['partition-id'])}", arrays)
        arrays, metrics = super().aggregate_train(server_round, replies)
        self.save(name, self.model if arrays is None else arrays)  # without a result the model stays
        return arrays, metrics

    def save(self, name, arrays):
        path = self.folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: array.numpy() for key, array in arrays.items()}, path)
