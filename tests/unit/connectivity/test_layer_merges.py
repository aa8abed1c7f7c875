"""Mixtures evaluated together, against `evaluate` of each one's tensors put together by hand."""

import weakref
from dataclasses import astuple

import chain_networks as networks
import pytest
import torch
from chain_networks import named, pair, samples_for

from fedscape.connectivity import layer_merges as mixtures
from fedscape.connectivity.chain import Segment
from fedscape.connectivity.layer_groups import layers_of
from fedscape.connectivity.layer_merges import Mixture, evaluate_mixtures
from fedscape.errors import FedscapeError
from fedscape.evaluation.batch_norm import recalibrated
from fedscape.evaluation.evaluate import EvaluationSet, evaluate

RESNET = {"blocks": [1, 1], "width": 4}
NETWORKS = {
    "convnet": named("convnet"),
    "resnet": named("resnet", norm="none", **RESNET),
    "group norm": named("resnet", norm="group", groups=2, **RESNET),
    "transformer": networks.Transformer,
    "tied": networks.Tied,
    "gpt": networks.gpt,
    "moods": networks.Moods,
    "partly": networks.Partly,
    "in place": networks.InPlace,
    "root": networks.RootParameter,
}


class Doubled:
    """A source that is no mixture: twice the first model plus the second."""

    def __call__(self, first, second):
        return {name: 2 * tensor + second[name] for name, tensor in first.items()}


DOUBLED = Doubled()


def drawn(count, number=12, seed=0):
    """Mixtures of `count` layers: both ends, the mean, and random ones, all with both rests; some twice."""
    generator = torch.Generator().manual_seed(seed)
    found = [Mixture((rest,) * count, rest) for rest in ("from", "to", "mean")]
    for _ in range(number):
        averaged = torch.randint(2, (count,), generator=generator).tolist()
        # A mean of everything would have no rest.
        averaged[torch.randint(count, (), generator=generator)] = 0
        for rest in ("from", "to"):
            found.append(Mixture(tuple("mean" if one else rest for one in averaged), rest))
            sources = list(found[-1].sources)
            sources[averaged.index(0)] = DOUBLED
            found.append(Mixture(tuple(sources), rest))
    return [*found, found[-1], found[0]]


def by_hand(first, second, layers, mixture, batch_norm):
    """Parameters and buffers of a mixture, but for recalibration."""
    parameters, buffers = {}, {}
    ends = {"from": first, "to": second}
    kept = "from" if mixture.rest == "mean" else mixture.rest
    for (_, names), source in zip(layers.items(), mixture.sources, strict=True):
        for name in names:
            if name in first[0]:
                one, other = first[0][name], second[0][name]
                choices = {
                    "from": one,
                    "to": other,
                    "mean": 0.5 * one + 0.5 * other,
                    DOUBLED: 2 * one + other,
                }
                parameters[name] = choices[source]
            elif batch_norm == "interpolate" and source == "mean" and first[1][name].is_floating_point():
                buffers[name] = 0.5 * first[1][name] + 0.5 * second[1][name]
            else:
                buffers[name] = ends[kept][1][name]
    outside = {name: tensor for name, tensor in first[1].items() if name not in buffers}
    return parameters, buffers | outside


def check(module, first, second, found, mixed, data, batch_norm="keep", layers=None):
    layers = layers or layers_of(*first)
    assert len(found) == len(mixed)
    for mixture, evaluations in zip(mixed, found, strict=True):
        parameters, buffers = by_hand(first, second, layers, mixture, batch_norm)
        if batch_norm == "recalibrate":
            buffers = recalibrated(module, parameters, buffers, data["train"])
        assert list(evaluations) == list(data)
        for name, samples in data.items():
            expected = evaluate(module, parameters, buffers, samples)
            assert astuple(evaluations[name]) == pytest.approx(astuple(expected), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_mixture_is_as_evaluated_alone(name):
    module, first, second = pair(NETWORKS[name])
    layers, data = layers_of(*first), samples_for(module)
    data = {"train": data, "test": EvaluationSet(data.inputs[:7], data.labels[:7], data.mean, data.std, 4)}
    mixed = drawn(len(layers))
    found = evaluate_mixtures(module, first, second, layers, mixed, data, "keep")
    check(module, first, second, found, mixed, data)
    assert len({one["train"].loss for one in found}) > 3, "not all the same"


@pytest.mark.parametrize("batch_norm", ["keep", "interpolate", "recalibrate"])
def test_batch_norm_policies(batch_norm):
    module, first, second = pair(named("resnet", **RESNET))
    first[1]["norm.num_batches_tracked"] += 3
    layers, data = layers_of(*first), {"train": networks.images(), "test": networks.images(9, seed=1)}
    mixed = drawn(len(layers), number=5)
    found = evaluate_mixtures(module, first, second, layers, mixed, data, batch_norm)
    check(module, first, second, found, mixed, data, batch_norm)


def test_policies_differ_only_with_statistics():
    data = {"train": networks.images()}
    for norm, count in (("batch", 3), ("group", 1)):
        module, first, second = pair(named("resnet", norm=norm, groups=2, **RESNET))
        layers = layers_of(*first)
        mean = Mixture(("mean",) * len(layers), "mean")
        found = [
            evaluate_mixtures(module, first, second, layers, [mean], data, policy)[0]["train"].loss
            for policy in ("keep", "interpolate", "recalibrate")
        ]
        assert len(set(found)) == count


def test_groups_of_layers_and_tensors_that_they_leave_out():
    """A bias that is not listed goes with the weights of its module."""
    module, first, second = pair(named("convnet"))
    weights = [name for name in first[0] if name.endswith("weight")]
    listed = {"odd": tuple(weights[1::2]), "even": tuple(weights[::2])}
    whole = {
        group: tuple(tensor for name in names for tensor in (name, name.replace("weight", "bias")))
        for group, names in listed.items()
    }
    mixed = [Mixture(("mean", "from"), "from"), Mixture(("to", "mean"), "to")]
    data = {"test": networks.images()}
    found = evaluate_mixtures(module, first, second, listed, mixed, data, "keep")
    check(module, first, second, found, mixed, data, layers=whole)


def test_a_parameter_in_no_layer_is_refused():
    module, first, second = pair(networks.Moods)
    data = {"test": networks.images()}
    with pytest.raises(
        FedscapeError, match=r"^layers: parameter hidden\.weight is in none of them \(last\)$"
    ):
        evaluate_mixtures(
            module, first, second, {"last": ("out.weight",)}, [Mixture(("mean",), "mean")], data, "keep"
        )


def test_recalibration_needs_train_samples():
    module, first, second = pair(named("resnet", **RESNET))
    mean = Mixture(("mean",) * len(layers_of(*first)), "mean")
    with pytest.raises(FedscapeError, match="recalibrate needs samples named 'train'"):
        evaluate_mixtures(
            module, first, second, layers_of(*first), [mean], {"test": networks.images()}, "recalibrate"
        )


def counted(monkeypatch):
    calls = []
    real = Segment.__call__
    monkeypatch.setattr(
        Segment, "__call__", lambda self, *given: calls.append(len(given[0][0])) or real(self, *given)
    )
    return calls


def test_shared_beginnings_are_computed_once(monkeypatch):
    """Of a network with a segment for each layer, every beginning once a batch: as many as different ones."""
    module, first, second = pair(named("convnet"))
    layers, data = layers_of(*first), networks.images()
    mixed = [
        Mixture(tuple("mean" if place == one else "from" for place in range(8)), "from") for one in range(8)
    ]
    mixed += [Mixture(("mean",) * count + ("to",) * (8 - count), "to") for count in range(8)]
    calls = counted(monkeypatch)
    evaluate_mixtures(module, first, second, layers, [*mixed, *mixed], {"train": data}, "keep")
    calls = [size for size in calls if size > mixtures.CHECKED_SAMPLES]
    beginnings = {one.sources[:count] for one in mixed for count in range(1, 9)}
    assert len(calls) == 3 * len(beginnings) < 3 * 8 * len(mixed) / 1.5
    assert sum(calls) == len(data.labels) * len(beginnings)


def test_layers_that_are_the_same_in_both_models_make_no_difference(monkeypatch):
    """As where a part is frozen: all mixtures that differ there alone are one."""
    module, first, second = pair(named("convnet"))
    layers, data = layers_of(*first), {"train": networks.images()}
    frozen = [name for layer in list(layers)[1:] for name in layers[layer]]
    second[0].update({name: first[0][name].clone() for name in frozen})
    mixed = [*drawn(8, number=0), Mixture(("from", *(("mean",) * 7)), "from")]
    calls = counted(monkeypatch)
    found = evaluate_mixtures(module, first, second, layers, mixed, data, "keep")
    assert len([size for size in calls if size > mixtures.CHECKED_SAMPLES]) == 3 * 3 * 8
    check(module, first, second, found, mixed, data)
    assert found[-1] == found[0]


def test_activations_of_one_mixture_are_kept(monkeypatch):
    """Whatever the number of mixtures: values are dropped when the next mixture does not share them."""
    alive, most = set(), []

    module, first, second = pair(named("convnet"))
    real = Segment.__call__

    def watched(self, values, tensors):
        found = real(self, values, tensors)
        for value in found:
            alive.add(id(value))
            weakref.finalize(value, alive.discard, id(value))
        most.append(len(alive))
        return found

    monkeypatch.setattr(Segment, "__call__", watched)
    layers = layers_of(*first)
    evaluate_mixtures(
        module, first, second, layers, drawn(8, number=20), {"train": networks.images()}, "keep"
    )
    assert max(most) <= len(layers) + 1


def test_an_empty_set_has_no_means():
    module, first, second = pair(networks.Moods)
    some, none = networks.images(), networks.images(count=0)
    ends = [Mixture(("from",) * 2, "from")]
    (found,) = evaluate_mixtures(
        module, first, second, layers_of(*first), ends, {"train": some, "test": none}, "keep"
    )
    assert found["train"].samples == 23 and found["test"].samples == 0
    assert found["test"].loss != found["test"].loss
    with pytest.raises(FedscapeError, match="no samples"):
        evaluate_mixtures(module, first, second, layers_of(*first), ends, {"test": none}, "keep")
