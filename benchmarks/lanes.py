"""How fast lanes step: ways to train several clients side by side, per model, image size and number of lanes.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/lanes.py
    .venv/bin/python benchmarks/lanes.py --device cuda --models convnet-32 resnet56-32 --precision tf32

prints steps per second of all lanes together: the work of a client's step is the same in all columns. All
ways hold parameters [lanes, P] in one array, gather a batch of uint8 images per lane, normalise it and step
by SGD with momentum. Before it is timed, each must arrive where one lane after another does.

- one after another: a module per lane, ordinary backpropagation; the same with images in channels-last order
- vmap: `torch.func.vmap` of the gradient; a convolution becomes one grouped convolution
- gemm: the same, but each convolution gathers its patches and multiplies them, one batched product for all
- compiled: `torch.compile` of the gradient function of either; on a CPU only if `--ways` names it, since it
  takes minutes to compile for each number of lanes
- streams (CUDA): one after another, each lane on a stream of its own
- graph (CUDA): any of these recorded once as a CUDA graph and replayed

`stepping.py` has them all. A way that fails says why below the table, and the others go on.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from measured import Options, Place, Table
from runs import step_flops
from stepping import GRAPH, REFERENCE, WAYS, Lanes, Model, stepper
from torch import Tensor

from fedscape.evaluation.device import prepare_device
from fedscape.jobs.job import keep_freed_memory

CHECKED_STEPS = 3
SAME = 0.05  # largest difference from one after another, relative to the largest change of a parameter
MODELS = {
    "convnet-8": Model("convnet", (1, 8, 8), 16),
    "convnet-32": Model("convnet", (3, 32, 32), 16),
    "resnet20-8": Model("resnet20", (1, 8, 8), 16),
    "resnet20-32": Model("resnet20", (3, 32, 32), 16),
    "resnet56-32": Model("resnet", (3, 32, 32), 64, {"block": "bottleneck", "blocks": [6, 6, 6]}),
}


def check(way: str, lanes: Lanes, step: Callable[[int], None], expected: Tensor | None) -> Tensor:
    """Make the first steps and return the parameters; stop if they are not the expected ones."""
    start = lanes.state.parameters.clone()
    for number in range(CHECKED_STEPS):
        step(number)
    found = lanes.state.parameters.clone()
    if expected is not None and lanes.precision == "fp32":
        off = float((found - expected).abs().max() / (expected - start).abs().max())
        if not off <= SAME:
            raise ValueError(f"{way}: parameters differ by {off:.2%} of their largest change")
    return found


def rates(model: Model, count: int, ways: list[str], asked: argparse.Namespace) -> dict[str, float | str]:
    """Steps per second of all lanes together, or what went wrong, by way."""
    device, found, steps, expected = torch.device(asked.device), {}, {}, None
    for way in ways:
        try:
            lanes = Lanes(model, count, device, asked.precision)
            step = stepper(way, lanes)
            parameters = check(way, lanes, step, expected)
            expected = parameters if way == REFERENCE else expected
            steps[way] = step, number_of_steps(step, asked)
        except Exception as error:  # whatever a compiler or a graph may say
            found[way] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
    times: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(asked.repetitions):
        for way, (step, number) in steps.items():
            times[way].append(seconds(step, number, asked.device) / number)
    return found | {way: count / statistics.median(values) for way, values in times.items()}


def number_of_steps(step: Callable[[int], None], asked: argparse.Namespace) -> int:
    """How many steps take about as long as asked for."""
    return max(1, round(asked.seconds / seconds(step, 2, asked.device) * 2))


def seconds(step: Callable[[int], None], number: int, device: str) -> float:
    """What so many steps take."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    began = time.perf_counter()
    for k in range(number):
        step(k)
    wait()
    return time.perf_counter() - began


def main() -> None:
    parser = Options(__doc__, models=["convnet-8", "resnet20-8"], lanes=[1, 2], repetitions=1, seconds=0.01)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS)[:4])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--ways", nargs="+", help="by default all that the device has", metavar="WAY")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one repetition")
    asked = parser.read()
    torch.set_num_threads(asked.threads)
    keep_freed_memory()
    on_cuda = prepare_device(asked.device, asked.precision).type == "cuda"
    possible = [way for way in WAYS if on_cuda or way != "streams"]
    possible += [GRAPH + way for way in possible] if on_cuda else []
    usual = [way for way in possible if on_cuda or "compiled" not in way]
    ways = [REFERENCE, *(way for way in possible if way != REFERENCE and way in (asked.ways or usual))]
    place = Place.here(asked.threads, asked.device)
    print(place)
    for key in asked.models:
        model = MODELS[key]
        work = step_flops(model.name, model.settings, model.shape, model.batch)
        print(f"\n{key}, batch {model.batch}, {asked.precision}: steps per second of all lanes, ", end="")
        print(f"{work / 1e9:.3f} GFLOP each, medians of {asked.repetitions}\n")
        found = {count: rates(model, count, ways, asked) for count in asked.lanes}
        table = Table(place, "lanes", *map(str, asked.lanes))
        for way in ways:
            cells = [found[count][way] for count in asked.lanes]
            table.row(way, *(f"{cell:,.0f}" if isinstance(cell, float) else "failed" for cell in cells))
        results = [item for row in found.values() for item in row.items()]
        for way, reason in sorted({item for item in results if isinstance(item[1], str)}):
            print(f"{way}: {reason}")
        fastest = max((rate for _, rate in results if isinstance(rate, float)), default=0.0)
        print(f"\nfastest: {fastest * model.batch:,.0f} samples/s, {fastest * work / 1e9:,.0f} GFLOP/s")


if __name__ == "__main__":
    main()
