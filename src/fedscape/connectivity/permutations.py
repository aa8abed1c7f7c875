"""Which units of a network may change places without changing what it computes, derived by tracing it.

A unit is one output of a convolution or of a linear layer. Two of a layer change places by exchanging slices
of several tensors: the layer's outputs, its norm's parameters and statistics, the next layers' inputs. The
network is traced symbolically (`torch.fx`) and its units are followed: what a layer reads, and what a sum
adds up, is the same unit. Units on the same axes of the same tensors form a group, whose order is free
(Ainsworth, Hayase & Srinivasa, Git Re-Basin, 2022, section 3).

Inputs and logits keep their order, and so do channels that a group norm treats by their neighbours. What is
not known is refused by name: a guess would align models wrongly and nobody would see it. Shapes are not
known: linear layers are taken to be given [n, features], convolutions [n, C, H, W].
"""

from dataclasses import dataclass

from torch import fx, nn

from fedscape.checkpoints.layout import Layout, layout_of
from fedscape.connectivity.operations import OPERATIONS, Features, keep_order, refusal, size
from fedscape.connectivity.units import UnitGroup, Units
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import mode
from fedscape.models.residual import PaddedShortcut


@dataclass(frozen=True)
class Permutations:
    """The groups of a network, each by the first layer that outputs its units, and the network's tensors."""

    groups: dict[str, UnitGroup]
    layout: Layout

    @property
    def units(self) -> int:
        """How many units are free to move."""
        return sum(group.size for group in self.groups.values())


def permutations_of(module: nn.Module) -> Permutations:
    """The groups of a network, in the order in which it computes them; its own weights do not matter.

    Raises FedscapeError with operation and layer where it is not known what happens to units.
    """
    _refuse_shared_parameters(module)
    layers, units = dict(module.named_modules()), Units()
    values: dict[fx.Node, Features | None] = {}
    for node in _graph(module).nodes:
        inputs = (values[source] for source in node.all_input_nodes)
        given = [features for features in inputs if features is not None]
        if node.op == "placeholder":
            values[node] = Features(None, flat=False)
        elif node.op == "output":
            for features in given:
                keep_order(units, features)
        else:
            layer = layers[node.target] if node.op == "call_module" else None
            follow = OPERATIONS.get(node.target if layer is None else type(layer))
            if follow is None or not (given or follow is size):
                raise refusal(node, layer, "is not known, so units cannot be followed through it")
            values[node] = follow(units, node, layer, given)
    return Permutations(units.groups(), layout_of(module))


def _refuse_shared_parameters(module: nn.Module) -> None:
    """Refuse one tensor under two names, of which only one would be permuted."""
    names = [name for name, _ in module.named_parameters(remove_duplicate=False)]
    again = sorted(set(names) - {name for name, _ in module.named_parameters()})
    if again:
        raise FedscapeError(
            f"alignment: {again[0]} is the same tensor as another parameter; give each its own"
        )


class _UnitTracer(fx.Tracer):
    """Goes into all modules but PyTorch's own, and the shortcut whose Python depends on shapes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, PaddedShortcut) or super().is_leaf_module(m, module_qualified_name)


def _graph(module: nn.Module) -> fx.Graph:
    with mode(module, training=False):
        try:
            return _UnitTracer().trace(module)
        except Exception as error:  # tracing runs the network's own code, which may raise anything
            reason = str(error).partition("\n")[0]
            raise FedscapeError(f"alignment: {type(module).__name__} cannot be traced: {reason}") from error
