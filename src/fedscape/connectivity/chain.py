"""A network as a chain of segments, so that what comes after one of them can be recomputed alone.

The network is traced symbolically (torch.fx) and cut wherever a single value that depends on its parameters
is alive: through residual blocks and attention as through a sequence of layers. A module that cannot be
traced (its Python depends on values, for example) is not looked into; if that is the network itself, the
chain is one segment.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from fedscape.evaluation.evaluate import mode

DESCRIPTIONS = ("size", "dim", "shape", "ndim", "device", "dtype")
"""What a tensor tells of itself whatever its values are."""
SAME = 1e-5
"""Largest difference of a chain's outputs from the network's, relative to the largest output: rounding."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """A part of a network that takes some values and gives those that the next one takes.

    names: of the network's tensors that it uses, by their names in `module`. overwrites: whether it writes
    into what it takes, as an addition in place does.
    """

    module: nn.Module
    names: Mapping[str, str]
    overwrites: bool = False

    def __call__(self, values: tuple, tensors: Mapping[str, Tensor]) -> tuple:
        """The values after it, with the given tensors in place of the network's own.

        tensors: by their names in the network; those that it does not use are passed over.
        """
        if self.overwrites:
            values = tuple(value.clone() if isinstance(value, Tensor) else value for value in values)
        own = {name: tensors[original] for name, original in self.names.items()}
        outputs = functional_call(self.module, own, values)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def chain_of(
    module: nn.Module, inputs: Tensor, models: Sequence[Mapping[str, Tensor]]
) -> tuple[Segment, ...]:
    """Segments that, called one after the other from (inputs,) on, compute the network's output in eval mode.

    inputs: a few samples on which that is checked, with the tensors of each of `models` by their names in the
    network. A network with which it fails is one segment.
    """
    with mode(module, training=False), torch.no_grad():
        try:
            return _checked(module, _segments(module), inputs, models)
        except Exception as error:  # tracing runs the network's own code, which may raise anything
            reason = str(error).partition("\n")[0]
            log.warning("%s is evaluated as a whole: %s", type(module).__name__, reason)
        return _checked(module, [Segment(module, _names(module, module))], inputs, models)


def first_uses(chain: Sequence[Segment], names: Sequence[str]) -> dict[str, int]:
    """Number of the first segment that each of the network's tensors is used in; unused: the last one."""
    numbers = dict.fromkeys(names, len(chain) - 1)
    for number in reversed(range(len(chain))):
        numbers |= dict.fromkeys(chain[number].names.values(), number)
    return numbers


class _Whole(nn.Module):
    """A module around the network: what tracing adds to it leaves the network itself as it is."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)


class _SegmentTracer(fx.Tracer):
    """leaves: kinds of modules, beside those of torch, that are not looked into. failed: one to be added."""

    # Else a buffer would be a constant of the trace, and what is computed from it too.
    proxy_buffer_attributes = True

    def __init__(self, leaves: Collection[type]):
        super().__init__()
        self.leaves = leaves
        self.failed: type | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # Without parameters there is nothing to cut at.
        if type(m) in self.leaves or not _has_parameters(m):
            return True
        return super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> object:
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or type(m)  # the innermost one comes first
            raise


def _traced(whole: nn.Module) -> fx.Graph:
    leaves: set[type] = set()
    while True:
        tracer = _SegmentTracer(leaves)
        try:
            return tracer.trace(whole)
        except Exception:
            if tracer.failed is None or tracer.failed in leaves:
                raise
            leaves.add(tracer.failed)


def _segments(network: nn.Module) -> list[Segment]:
    whole = _Whole(network)
    graph = _traced(whole)
    nodes = [node for node in graph.nodes if node.op not in ("get_attr", "output")]
    positions = {node: position for position, node in enumerate(nodes)}
    # The node that gives the network's output is no value: it comes after all of them.
    last_use = {
        node: max((positions.get(user, len(nodes)) for user in node.users), default=-1) for node in nodes
    }
    cuts = [*_cuts(whole, nodes, last_use), len(nodes)]
    segments, start, inputs = [], 1, nodes[:1]  # the first node stands for the inputs
    for stop in cuts:
        handed_on = [node for node in nodes[:stop] if last_use[node] >= stop]
        part = _graph_module(whole, nodes[start:stop], inputs, handed_on)
        segments.append(Segment(part, _names(part, network)))
        start, inputs = stop, handed_on
    return segments


def _cuts(whole: nn.Module, nodes: Sequence[fx.Node], last_use: Mapping[fx.Node, int]) -> list[int]:
    """Positions in `nodes` at which a segment begins, each the last one before more parameters are used."""
    cuts: list[int] = []
    latest: int | None = None  # after the parameters that were used last
    alive: set[fx.Node] = set()  # of those that depend on parameters
    dependent: set[fx.Node] = set()
    used = False
    for number, node in enumerate(nodes):
        parameters = _uses_parameters(whole, node)
        if parameters and latest is not None:
            cuts.append(latest)
            latest = None
        used = used or parameters
        if parameters or (dependent.intersection(node.all_input_nodes) and not _describes(node)):
            dependent.add(node)
            alive.add(node)
        alive = {other for other in alive if last_use[other] > number}
        if used and len(alive) == 1:
            latest = number + 1
    return cuts


def _uses_parameters(whole: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return _has_parameters(whole.get_submodule(str(node.target)))
    sources = (source for source in node.all_input_nodes if source.op == "get_attr")
    held = (attrgetter(str(source.target))(whole) for source in sources)
    return any(isinstance(tensor, nn.Parameter) for tensor in held)


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _describes(node: fx.Node) -> bool:
    """Whether the node is a shape or the like, the same whatever the parameters."""
    if node.op == "call_method":
        return node.target in DESCRIPTIONS
    return node.op == "call_function" and node.target is getattr and node.args[1] in DESCRIPTIONS


def _graph_module(
    whole: nn.Module, nodes: Sequence[fx.Node], inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> nn.Module:
    """The nodes as a module of their own that shares the network's layers."""
    graph = fx.Graph()
    copies = {node: graph.placeholder(f"value{index}") for index, node in enumerate(inputs)}
    for node in nodes:
        for source in node.all_input_nodes:
            if source.op == "get_attr" and source not in copies:
                copies[source] = graph.node_copy(source)
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in outputs))
    return fx.GraphModule(whole, graph)


def _names(part: nn.Module, network: nn.Module) -> dict[str, str]:
    """Names of a part's tensors -> their names in the network, one for tensors that several layers share."""
    originals = {id(tensor): name for name, tensor in (*network.named_parameters(), *network.named_buffers())}
    held = (*part.named_parameters(), *part.named_buffers())
    return {name: originals[id(tensor)] for name, tensor in held if id(tensor) in originals}


def _checked(
    module: nn.Module, segments: Sequence[Segment], inputs: Tensor, models: Sequence[Mapping[str, Tensor]]
) -> tuple[Segment, ...]:
    """The segments, with what they overwrite found out. Raises ValueError if they compute something else."""
    overwriting = set()
    for tensors in models:
        values: tuple = (inputs.clone(),)
        for number, segment in enumerate(segments):
            taken = [(value, value._version) for value in values if isinstance(value, Tensor)]
            values = segment(values, tensors)
            if any(value._version != version for value, version in taken):
                overwriting.add(number)
        expected = functional_call(
            module, {name: tensors[name] for name in _names(module, module)}, inputs.clone()
        )
        if segments[0].module is not module and not (len(values) == 1 and _same(values[0], expected)):
            raise ValueError("its trace computes something else")
    return tuple(
        Segment(segment.module, segment.names, number in overwriting)
        for number, segment in enumerate(segments)
    )


def _same(outputs: Tensor, expected: Tensor) -> bool:
    sizes = expected[expected.isfinite()].abs()
    allowed = SAME * sizes.max().item() if len(sizes) else 0.0
    return torch.allclose(outputs, expected, rtol=0, atol=allowed, equal_nan=True)
