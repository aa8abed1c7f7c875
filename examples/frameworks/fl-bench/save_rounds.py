"""FL-bench's main.py, which also saves each round's global model and those that clients hand back.

    cd CLONE; PYTHONPATH=. python .../save_rounds.py method=fedavg dataset.name=mnist ...

Arguments are main.py's. Beside what FL-bench saves in out/<method>/<dataset>/<time>/ there are then
round-000.safetensors (the start), round-001.safetensors, ... and round-001/client-3.safetensors, ...
Needs `mode=serial`, FL-bench's default, and safetensors.
"""

import inspect
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import save_file
from src.server.fedavg import FedAvgServer
from src.utils.trainer import FLbenchTrainer
from torch import Tensor

Seen = Callable[[FedAvgServer, tuple[int, ...], Mapping[str, Tensor]], None]


def main() -> None:
    """Run main.py."""
    runpy.run_path(str(Path(inspect.getfile(FedAvgServer)).parents[2] / "main.py"), run_name="__main__")


def watch(seen: Seen) -> None:
    """Call `seen` with the server, the round (from 0) or round and client, and each model's state_dict."""
    initial, display = FLbenchTrainer.__init__, FedAvgServer.display_metrics

    def init(trainer: FLbenchTrainer, *args: object, **kwargs: object) -> None:
        initial(trainer, *args, **kwargs)
        train = trainer.train

        def trained() -> Mapping[int, Mapping]:
            server, number = trainer.server, trainer.server.current_epoch + 1
            if number == 1:
                seen(server, (0,), server.public_model_params)
            packages = train()
            for client, package in packages.items():
                model = package.get("regular_model_params") or {
                    name: server.public_model_params[name] - change
                    for name, change in package["model_params_diff"].items()
                }
                seen(server, (number, client), model)
            return packages

        trainer.train = trained

    def displayed(server: FedAvgServer) -> None:  # what ends a round
        seen(server, (server.current_epoch + 1,), server.public_model_params)
        display(server)

    FLbenchTrainer.__init__, FedAvgServer.display_metrics = init, displayed


def save(server: FedAvgServer, numbers: tuple[int, ...], model: Mapping[str, Tensor]) -> None:
    """Write a model below the run's folder in out/."""
    names = [f"round-{numbers[0]:03d}", *(f"client-{client}" for client in numbers[1:])]
    file = Path(server.output_dir, *names).with_suffix(".safetensors")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.items()}, file)


if __name__ == "__main__":
    watch(save)
    main()
