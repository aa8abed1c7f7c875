"""Settings dataclasses from what a job is handed."""

from fedscape.settings.connectivity import LayersSettings
from fedscape.settings.curvature import CurvatureSettings, DensitySettings
from fedscape.settings.plain import from_plain


def test_pairs_stand_for_a_map_whose_keys_may_hold_dots():
    groups = {"stage.1": ["conv1", "norm1"], "head": ["classifier"]}
    for values in (groups, [[name, modules] for name, modules in groups.items()]):
        assert from_plain(LayersSettings, {"groups": values}) == LayersSettings(groups=groups)


def test_a_map_stands_for_a_dataclass_within():
    settings = from_plain(CurvatureSettings, {"top": 2, "density": {"steps": 5}})
    assert settings == CurvatureSettings(top=2, density=DensitySettings(steps=5))
    assert from_plain(CurvatureSettings, {"density": None}).density is None
