"""Claims hold on the numbers that their own paper publishes: what is expected was read as the paper means it."""

import json

import pytest
import yaml
from edited_study import ROOT

from fedscape.study.campaign import read_campaign
from fedscape.tables.cases import Measured
from fedscape.tables.claims import decide

FEWEST = {"fedalign": 60, "pretraining": 2}  # claims whose numbers are all published


def published(study):
    """The paper's number for a measure on some runs, in the measure's own unit."""
    numbers = {}
    for table in study.tables.values():
        for row, ours in zip(table.published, table.cells, strict=True):
            for column, number, cell in zip(table.columns, row, ours, strict=True):
                if number is None or column.measure is None or column.over or column.rank or not cell:
                    continue
                value = number / 100 if column.percent else number
                assert numbers.setdefault(key(column, cell[0]), value) == value, "two numbers for one thing"
    return numbers


def key(what, case):
    return (
        json.dumps(what.measure.keys, sort_keys=True), what.section, what.name, tuple(sorted(case.runs)),
    )  # fmt: skip


@pytest.mark.parametrize("name", FEWEST)
def test_claims_hold_on_the_numbers_of_the_paper(name):
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study = read_campaign(ROOT, config).get(name, "paper")
    numbers = published(study)
    found = {}
    for number, claim in enumerate(study.claims, start=1):
        keys = [key(claim, side.cases[0]) for side in claim.sides] if claim.seeds else []
        if keys and all(one in numbers for one in keys):
            sides = [{0: Measured(numbers[one])} for one in keys]
            found[number] = decide(sides, claim.expect, [True] * len(sides)).verdict
    assert not {study.claims[number - 1].text for number, verdict in found.items() if verdict != "holds"}
    assert len(found) >= FEWEST[name], sorted(found)
