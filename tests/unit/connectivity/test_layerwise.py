"""Layer-wise barriers: closed forms on a quadratic and a convex loss, identities between regimes, tables."""

import math

import bowl
import chain_networks as networks
import numpy as np
import pandas as pd
import pytest
import torch
from chain_networks import named, pair
from torch import nn
from torch.utils.data import TensorDataset

from fedscape.connectivity.layer_groups import layers_of
from fedscape.connectivity.layer_orders import ORDERS, order
from fedscape.connectivity.layerwise import (
    REGIMES,
    Direction,
    layerwise_barriers,
    layerwise_table,
)
from fedscape.errors import FedscapeError
from fedscape.evaluation.evaluate import EvaluationSet, evaluate
from fedscape.evaluation.prepared import PreparedSet

COLUMNS = [
    *("split", "measure", "regime", "layer", "depth", "averaged", "rest", "draw"),
    *("value", "from_value", "to_value", "barrier", "ratio", "samples"),
]
BOWL_LAYERS = {"second": ("second",), "first": ("first",)}
KEY = ["split", "measure", "regime", "depth", "averaged", "rest", "draw"]


def table(module, first, second, **changes):
    data = {"train": networks.images(), "test": networks.images(9, seed=1)}
    return pd.DataFrame(layerwise_barriers(module, first, second, **{"data": data, **changes}))


def zeros(count=8):
    """Images of class 0 of two."""
    none = torch.tensor([0.0]), torch.tensor([1.0])
    return EvaluationSet(
        torch.zeros(count, 1, 4, 4, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64), *none
    )


def in_bowl(theta):
    theta = torch.tensor(theta, dtype=torch.float32)
    return {"second": theta[:4].view(2, 2), "first": theta[4:]}, {}


@pytest.mark.parametrize("seed", range(3))
def test_barriers_in_a_quadratic(seed):
    """Of every mixture: the quadratic there, minus the mean of the quadratic at both ends."""
    draw = np.random.default_rng(seed)
    ends = {"from": bowl.MINIMUM + 0.4 * draw.normal(size=6), "to": bowl.MINIMUM + 0.4 * draw.normal(size=6)}
    middle = (ends["from"] + ends["to"]) / 2
    found = table(
        bowl.Bowl(),
        *map(in_bowl, ends.values()),
        data={"train": zeros(), "test": zeros(3)},
        layers=BOWL_LAYERS,
    )
    values = {end: bowl.quadratic(theta) for end, theta in ends.items()}
    mean = (values["from"] + values["to"]) / 2
    parts = [slice(0, 4), slice(4, 6)]
    for row in found.itertuples():
        theta = ends.get(row.rest, middle).copy()
        if row.averaged == 2:
            theta = middle
        else:
            theta[parts[row.depth]] = middle[parts[row.depth]]
        expected = bowl.quadratic(theta)
        if row.measure == "loss":
            assert row.value == pytest.approx(expected, rel=1e-5)
            assert row.barrier == pytest.approx(expected - mean, abs=1e-5)
            assert row.ratio == pytest.approx((expected - mean) / mean, abs=1e-5)
            assert (row.from_value, row.to_value) == pytest.approx((values["from"], values["to"]), rel=1e-5)
        else:
            assert row.value == (expected > bowl.WRONG_ABOVE)
        assert row.samples == {"train": 8, "test": 3}[row.split]


@pytest.mark.parametrize(("axis", "sign"), [(0, -1), (5, 1)])
def test_the_full_barrier_along_an_axis_of_a_quadratic(axis, sign):
    """-lambda d^2 / 8 for a distance d: a barrier where the curvature is negative, none where it is not."""
    ends = [bowl.MINIMUM + shift * bowl.ROTATION[:, axis] for shift in (-0.8, 1.2)]
    found = table(
        bowl.Bowl(), *map(in_bowl, ends), data={"test": zeros()}, layers=BOWL_LAYERS, regimes=["full"]
    )
    barrier = found.loc[found["measure"] == "loss", "barrier"].item()
    assert barrier == pytest.approx(-bowl.EIGENVALUES[axis] * 2**2 / 8, rel=1e-3)
    assert math.copysign(1, barrier) == sign


def test_a_convex_loss_has_no_barrier():
    """Softmax regression: the loss of the mean is below the mean of the losses, all in one layer."""
    module, first, second = pair(lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 5)))
    found = table(module, first, second)
    assert set(found["layer"]) == {"", "1"}
    losses = found[found["measure"] == "loss"]
    assert (losses["barrier"] < -1e-3).all()
    assert losses.groupby("split")["value"].nunique().tolist() == [1, 1], "one layer is all layers"


def test_equal_models_have_no_barrier_at_all():
    for make in (named("convnet"), named("resnet", blocks=[1], width=4), networks.Moods):
        module, first, _ = pair(make)
        copy = tuple({name: tensor.clone() for name, tensor in kind.items()} for kind in first)
        for batch_norm in ("keep", "recalibrate"):
            found = table(
                module, first, copy, directions=1, batch_norm=batch_norm, regimes=["full", "single"]
            )
            assert (found["barrier"] == 0).all()
            assert (found["value"] == found["from_value"]).all()


def test_swapped_models_swap_the_rest():
    module, first, second = pair(named("convnet"))
    found, swapped = table(module, first, second), table(module, second, first)
    swapped["rest"] = swapped["rest"].replace({"from": "to", "to": "from"})
    swapped = swapped.rename(columns={"from_value": "to_value", "to_value": "from_value"})
    both = [one.sort_values(KEY).reset_index(drop=True)[COLUMNS] for one in (found, swapped)]
    pd.testing.assert_frame_equal(*both, rtol=1e-6)


@pytest.mark.parametrize("batch_norm", ["keep", "interpolate", "recalibrate"])
def test_regimes_agree_where_they_average_the_same_layers(batch_norm):
    module, first, second = pair(named("resnet", blocks=[1], width=4))
    found = table(module, first, second, batch_norm=batch_norm)
    count = len(layers_of(*first))
    for _, part in found.groupby(["split", "measure"]):
        full = part.loc[part["regime"] == "full", "value"].item()
        single = part[part["regime"] == "single"].set_index(["depth", "rest"])["value"]
        for kind in ORDERS:
            steps = part[part["regime"] == kind]
            assert steps.loc[steps["averaged"] == count, "value"].tolist() == [full, full]
            for row in steps[steps["averaged"] == 1].itertuples():
                assert row.depth == order(kind, count)[0] and row.value == single[row.depth, row.rest]


def test_the_table_has_every_mixture_once():
    module, first, second = pair(named("convnet"))
    found = table(module, first, second, seed=4, directions=3)
    assert list(found) == COLUMNS
    assert not found.duplicated(KEY).any()
    for _, part in found.groupby(["split", "measure"]):
        assert len(part) == 1 + 2 * 8 * (1 + len(ORDERS) + 3)
        full = part[part["regime"] == "full"].iloc[0]
        assert (full["layer"], full["depth"], full["averaged"], full["rest"]) == ("", -1, 8, "both")
        for kind in ORDERS:
            for rest in ("from", "to"):
                steps = part[(part["regime"] == kind) & (part["rest"] == rest)].sort_values("averaged")
                assert steps["averaged"].tolist() == list(range(1, 9))
                assert steps["depth"].tolist() == order(kind, 8, 4)
        named_layers = part[part["depth"] >= 0].groupby("depth")["layer"].unique().map(list).tolist()
        assert named_layers == [[layer] for layer in layers_of(*first)]
    assert found["regime"].unique().tolist() == [*REGIMES, "direction"]
    assert (found["barrier"] == found["value"] - (found["from_value"] + found["to_value"]) / 2).all()
    fewer = table(module, first, second, regimes=["deep"])
    assert set(fewer["regime"]) == {"deep"}


def test_mixtures_of_a_table_against_states_put_together_by_hand():
    module, (first, _), (second, _) = pair(named("convnet"))
    found = table(module, (first, {}), (second, {}), seed=2)
    layers = layers_of(first)
    for row in found[(found["split"] == "test")].sample(20, random_state=0).itertuples():
        averaged = [row.depth]
        if row.regime != "single":
            averaged = order(row.regime, 8, 2)[: row.averaged] if row.regime != "full" else range(8)
        state = dict(second if row.rest == "to" else first)
        for place, names in enumerate(layers.values()):
            if place in averaged:
                state.update({name: (first[name] + second[name]) / 2 for name in names})
        expected = evaluate(module, state, {}, networks.images(9, seed=1))
        assert row.value == pytest.approx(getattr(expected, row.measure), rel=1e-6)


def test_a_ratio_to_nothing_is_undefined():
    """Where both ends make no error."""
    ends = [bowl.MINIMUM + 0.1, bowl.MINIMUM - 0.1]
    found = table(bowl.Bowl(), *map(in_bowl, ends), data={"test": zeros()}, layers=BOWL_LAYERS)
    errors = found[found["measure"] == "error"]
    assert (errors["from_value"] == 0).all() and errors["ratio"].isna().all()
    assert found.loc[found["measure"] == "loss", "ratio"].notna().all()


def test_losses_that_are_not_finite_stay_so():
    module, first, second = pair(named("convnet"))
    second[0]["17.bias"][2] = float("nan")
    found = table(module, first, second, regimes=["shallow"])
    loss = found[(found["measure"] == "loss") & (found["rest"] == "from")]
    assert loss["value"].isna().tolist() == [averaged == 8 for averaged in loss["averaged"]]
    assert loss["barrier"].isna().all()


def test_a_direction_is_half_the_distance_long_and_the_same_at_both_ends():
    _, (first, _), (second, _) = pair(networks.Moods)
    one, other = ({name: model[name] for name in ("out.weight", "out.bias")} for model in (first, second))
    moves = {}
    for rest, origin in (("from", one), ("to", other)):
        moved = Direction(rest, seed=0, draw=1, depth=1)(one, other)
        assert list(moved) == list(one)
        moves[rest] = torch.cat([(moved[name] - origin[name]).flatten() for name in one])
    torch.testing.assert_close(moves["from"], moves["to"], rtol=1e-4, atol=1e-6)
    distance = math.sqrt(sum((one[name] - other[name]).square().sum() for name in one))
    assert moves["from"].norm().item() == pytest.approx(distance / 2, rel=1e-5)
    for change in ({"draw": 0}, {"depth": 0}, {"seed": 1}):
        moved = Direction(**{"rest": "from", "seed": 0, "draw": 1, "depth": 1, **change})(one, other)
        another = torch.cat([(moved[name] - one[name]).flatten() for name in one])
        cosine = another @ moves["from"] / another.norm() / moves["from"].norm()
        assert abs(cosine) < 0.5


def test_rows_of_directions():
    module, first, second = pair(named("resnet", blocks=[1], width=4))
    layers = layers_of(*first)
    found = table(module, first, second, regimes=["single"], directions=2, seed=7, batch_norm="keep")
    found = found[found["regime"] == "direction"]
    assert (found["averaged"] == 1).all() and set(found["draw"]) == {0, 1}
    for row in found[found["split"] == "test"].sample(12, random_state=0).itertuples():
        parameters, buffers = first if row.rest == "from" else second
        names = [name for name in layers[row.layer] if name in parameters]
        ends = ({name: model[0][name] for name in names} for model in (first, second))
        moved = Direction(row.rest, 7, row.draw, row.depth)(*ends)
        expected = evaluate(module, parameters | moved, buffers, networks.images(9, seed=1))
        assert row.value == pytest.approx(getattr(expected, row.measure), rel=1e-6)


def test_unknown_regimes_are_refused():
    module, first, second = pair(named("convnet"))
    with pytest.raises(FedscapeError, match=r"^no regime 'top'; there are full, single, shallow, deep, "):
        table(module, first, second, regimes=["full", "top"])


@pytest.mark.parametrize("batch_norm", ["keep", "recalibrate"])
def test_a_table_in_ten_lines_from_two_state_dicts(batch_norm):
    """Tensors, a `Dataset`, or the stages' own sets: the same numbers as from the stages' tensors."""
    module, first, second = pair(named("resnet", blocks=[1], width=4))
    data = networks.images()
    inputs = torch.cat([inputs for inputs, _ in data.batches()])
    expected = pd.DataFrame(
        layerwise_barriers(
            module, first, second, {"train": data}, regimes=["full", "single"], batch_norm=batch_norm
        )
    )
    for given in ((inputs, data.labels.int()), TensorDataset(inputs, data.labels), data):
        found = layerwise_table(
            module,
            first[0] | first[1],
            second[0] | second[1],
            {"train": given},
            regimes=["full", "single"],
            batch_norm=batch_norm,
        )
        pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


def test_a_table_of_groups():
    module, first, second = pair(networks.Transformer)
    first, second = first[0], {name: tensor.double() for name, tensor in second[0].items()}
    groups = {"ends": ["tokens", "positions", "norm", "classifier"], "blocks": ["blocks"]}
    data = networks.sequences()
    found = layerwise_table(
        module, first, second, {"test": (data.inputs, data.labels)}, groups, regimes=["single"]
    )
    assert found["layer"].unique().tolist() == ["ends", "blocks"]
    mean = {name: (tensor + second[name].float()) / 2 for name, tensor in first.items()}
    state = {name: (mean if name.startswith("blocks") else first)[name] for name in first}
    expected = evaluate(module, state, dict(module.named_buffers()), data)
    row = found[(found["layer"] == "blocks") & (found["rest"] == "from") & (found["measure"] == "loss")]
    assert row["value"].item() == pytest.approx(expected.loss, rel=1e-6)


def test_state_dicts_and_samples_that_do_not_fit():
    module, (first, _), (second, _) = pair(networks.Moods)
    images, labels = torch.randn(4, *networks.SHAPE), torch.tensor([0, 1, 2, 3])
    data = {"test": (images, labels)}
    missing = {f"module.{name}": tensor for name, tensor in first.items()}
    with pytest.raises(FedscapeError, match=r"no parameter 'hidden\.weight' of Moods \(has module\.hidden"):
        layerwise_table(module, first, missing, data)
    other = second | {"out.bias": torch.zeros(3)}
    with pytest.raises(
        FedscapeError, match=r"parameter 'out\.bias' has shape \(3,\), that of Moods has \(5,\)"
    ):
        layerwise_table(module, first, other, data)
    with pytest.raises(FedscapeError, match="test: inputs are uint8"):
        layerwise_table(module, first, second, {"test": (images.to(torch.uint8), labels)})
    with pytest.raises(FedscapeError, match="test: 4 inputs, but 3 labels"):
        layerwise_table(module, first, second, {"test": (images, labels[:3])})


def test_prepared_samples_come_in_batches():
    data = PreparedSet(torch.arange(7.0), torch.arange(7), batch_size=3)
    batches = list(data.batches())
    assert [len(labels) for _, labels in batches] == [3, 3, 1]
    assert torch.cat([inputs for inputs, _ in batches]).tolist() == list(range(7))
