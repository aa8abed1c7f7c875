"""Which plug-ins a job's settings hold, whose code it is rerun for."""

from fedscape.study.tracked import plugins_in

FINAL, BARRIER = ({"kind": kind, "settings": {}} for kind in ("final", "barrier"))


def test_plugins_are_found_under_the_names_of_roles_however_deep_they_lie():
    settings = {
        "model": {"kind": "convnet", "width": 8},
        "claims": [{"measure": FINAL}, {"measure": BARRIER}],
        "table": {"columns": ({"label": "x", "measure": None}, {"measure": FINAL})},
    }
    assert list(plugins_in(settings)) == [
        ("model", "convnet"), ("measure", "final"), ("measure", "barrier"), ("measure", "final"),
    ]  # fmt: skip


def test_what_only_looks_like_a_plugin_is_none():
    settings = {
        "runs": [{"model": "convnet", "dataset": "digits"}],  # names of a study
        "where": {"model": ["convnet"], "partition": {"of": "iid"}},
        "schedule": {"kind": "cosine"},  # no role
        "figure": {"kind": "curves", "plane": {"kind": "anything"}},  # a setting of a plug-in's own
    }
    assert list(plugins_in(settings)) == [("figure", "curves")]
