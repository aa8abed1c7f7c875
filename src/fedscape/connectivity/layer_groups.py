"""Layers of a network: the tensors of one module each, or groups of layers that a user names."""

from collections.abc import Iterable, Mapping, Sequence

from fedscape.errors import FedscapeError

ROOT_LAYER = "."
"""Name of the layer that a network's own tensors are, those of no module within it."""


def layers_of(names: Iterable[str], buffers: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """Module -> names of its tensors, shallow to deep: the prefix before the last dot tells the module.

    names: of the parameters, in the order of `named_parameters()`. buffers: names of buffers; each joins the
    layer of its module, and where there is none, as for the mask of an attention, it is in no layer.
    """
    layers: dict[str, tuple[str, ...]] = {}
    for name in names:
        layers[module_of(name)] = (*layers.get(module_of(name), ()), name)
    for name in buffers:
        if module_of(name) in layers:
            layers[module_of(name)] += (name,)
    return layers


def module_of(name: str) -> str:
    """The module that a tensor belongs to: `stages.0.conv1` of `stages.0.conv1.weight`."""
    return name.rpartition(".")[0] or ROOT_LAYER


def chosen_layers(
    layers: Mapping[str, tuple[str, ...]], groups: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, ...]]:
    """A user's groups in place of layers, shallow to deep by their shallowest layer; None: the layers.

    layers: of `layers_of`. groups: name -> modules, each a layer or what layers' names begin with (`stages.0`
    covers `stages.0.1.conv1`). Raises FedscapeError unless every layer is in exactly one group.
    """
    if not groups:
        return dict(layers)
    owners: dict[str, list[str]] = {layer: [] for layer in layers}
    for group, modules in groups.items():
        for module in modules:
            covered = [layer for layer in layers if layer == module or layer.startswith(f"{module}.")]
            if not covered:
                raise FedscapeError(f"groups.{group}: no layer '{module}'; the layers are {_listed(layers)}")
            for layer in covered:
                if group not in owners[layer]:
                    owners[layer].append(group)
    left = [layer for layer in layers if not owners[layer]]
    if left:
        raise FedscapeError(f"groups: {_listed(left)} in no group; the layers are {_listed(layers)}")
    doubled = [f"{layer} ({_listed(several)})" for layer, several in owners.items() if len(several) > 1]
    if doubled:
        raise FedscapeError(
            f"groups: in more than one group: {_listed(doubled)}; the layers are {_listed(layers)}"
        )
    grouped: dict[str, tuple[str, ...]] = {}
    for layer, names in layers.items():
        grouped[owners[layer][0]] = grouped.get(owners[layer][0], ()) + names
    return grouped


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
