"""Names of layers as the field has them: torchvision's of residual networks, GPT-2's of transformers.

Layers of a plain sequence are counted: its own numbers count what has no parameters, too.
"""

import re
from collections.abc import Iterable

import pandas as pd

# What a name begins with tells its family; each pattern stands for a part of the names of that family.
_RESIDUAL = {
    r"^stages\.(\d+)": lambda part: f"layer{int(part[1]) + 1}",
    r"\baround\b": "downsample",
    r"\bnorm(\d)": r"bn\1",
    r"^norm$": "bn1",
    r"^conv$": "conv1",
    r"^classifier$": "fc",
}
_TRANSFORMER = {
    r"^blocks": "h",
    r"\bnorm(\d)": r"ln_\1",
    r"\battention\.entry$": "attn.c_attn",
    r"\battention\.projection$": "attn.c_proj",
    r"\bwiden$": "mlp.c_fc",
    r"\bnarrow$": "mlp.c_proj",
    r"^tokens$": "wte",
    r"^places$": "wpe",
    r"^norm$": "ln_f",
    r"^classifier$": "lm_head",
}
_FAMILIES = {"stages.": _RESIDUAL, "blocks.": _TRANSFORMER}


def field_names(layers: Iterable[str]) -> dict[str, str]:
    """The field's name of each layer of one network; of another family, its own."""
    names = {layer: layer for layer in layers}
    if all(layer.isdigit() for layer in names):
        return {layer: f"layer {i}" for i, layer in enumerate(sorted(names, key=int), start=1)}
    for beginning, patterns in _FAMILIES.items():
        if any(layer.startswith(beginning) for layer in names):
            for pattern, words in patterns.items():
                names = {layer: re.sub(pattern, words, name) for layer, name in names.items()}
    return names


def layer_names(frame: pd.DataFrame) -> pd.Series:
    """The column `layer` with the field's names, each model for itself; missing ones stay missing."""
    models = frame["model"].astype(str)
    names = {model: field_names(layers.dropna().unique()) for model, layers in frame["layer"].groupby(models)}
    own = [names[model].get(layer, pd.NA) for model, layer in zip(models, frame["layer"], strict=True)]
    return pd.Series(own, index=frame.index, dtype="string")
