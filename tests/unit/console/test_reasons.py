"""Why a job runs, in few words; sentences as Snakemake 9.27 writes them."""

import pytest

from fedscape.console.reasons import changed_settings, short_reason
from fedscape.jobs.recorded import VOID

PARAMS = (
    "Params have changed since last execution: Union of exclusive params before and now across all output: "
)

SENTENCES = {
    "Missing output files: results/a.csv, results/b.csv": "not there yet",
    "Missing output files: a.csv; Input files updated by another job: b.csv": "not there yet",
    "Input files updated by another job: results/a.csv": "made from what is new",
    "Updated input files: data/x.npy": "newer input: data/x.npy",
    "Updated input files: a, b, c, d, e": "newer input: a, b, c and 2 more",
    "Forced execution": "forced",
    "Set of input files has changed since last execution": "other inputs than before",
    "Software environment definition has changed since last execution": "packages have changed",
    PARAMS + "before: 'lr=0.01' now: 'lr=0.02' ": "lr: 0.01 -> 0.02",
    PARAMS + "before: 'code=\"0f\"','lr=0.01' now: 'code=\"1f\"','lr=0.02' ": "lr: 0.01 -> 0.02",
    PARAMS + "before: 'code=\"0f\"' now: 'code=\"1f\"' ": "code has changed",
    PARAMS + "before: <nothing exclusive> now: 'clip=1.0' ": "clip: none -> 1.0",
    PARAMS + "before: 'clip=1.0' now: <nothing exclusive> ": "clip: 1.0 -> none",
    "Input files updated by another job: x; " + PARAMS + "before: 'a=1' now: 'a=2' ": "a: 1 -> 2",
    PARAMS + f"before: {VOID!r} now: 'a=1' ": VOID,
    PARAMS + """before: 'caption="a; Kendall\\'s"' now: 'caption="b; Kendall\\'s"' ; Forced execution""": (
        """caption: "a; Kendall's" -> "b; Kendall's\""""
    ),
    PARAMS + """before: 'title="what now: this"' now: 'title="that now: 3"' """: (
        'title: "what now: this" -> "that now: 3"'
    ),
    "Updated input files: /o'brien/x; " + PARAMS + "before: 'a=1' now: 'a=2' ": "a: 1 -> 2",
    "": "asked for",
    "A reason of a later Snakemake": "A reason of a later Snakemake",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_is_told_in_few_words(sentence):
    assert short_reason(sentence) == SENTENCES[sentence]


def test_values_may_hold_quotes_commas_and_equals_signs():
    part = PARAMS + """before: 'where=["a, b", "it\\'s"]' now: "where=[\\"a=b\\"]" """
    assert changed_settings(part) == """where: ["a, b", "it's"] -> ["a=b"]"""


def test_of_long_values_the_part_is_shown_in_which_they_differ():
    old, new = "x" * 1000 + "old" + "y" * 1000, "x" * 1000 + "new"
    part = PARAMS + f"before: 'title={old}' now: 'title={new}' "
    assert changed_settings(part) == f"title: …{'x' * 20}old{'y' * 37}… -> …{'x' * 20}new"


def test_many_long_values_make_a_row_that_can_be_read():
    before, now = (
        ",".join(f"'figures.figure-{number}.title={word * 100}'" for number in range(30))
        for word in ("old", "new")
    )
    row = short_reason(PARAMS + f"before: {before} now: {now} ")
    assert row.endswith(" and 27 more") and len(row) < 600
