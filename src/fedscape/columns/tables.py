"""Columns of the claims of a study and of the tables of its paper."""

from fedscape.columns.column import File, Index, Number, Text, Whole
from fedscape.columns.shared import Shared


class Claims:
    """`claims.csv`"""

    number: Index
    claim: Text
    source: Text
    """place in the study's list, the claim in words, where the paper says it"""
    measure: Text
    """what was measured, with its settings, and on which plane or connection"""
    cases: Text
    values: Text
    """the runs compared, and one value per case, a mean over seeds, `;` between them; in place of one that is
    not there: `diverged` (a run that it needs), `learned nothing`, `not measured`, `not run`, `no seed in
    common`"""
    seeds: Whole
    """how many seeds all cases have, on which they are compared"""
    expectation: Text
    """what must be so for the claim to hold"""
    verdict: Text
    """`holds`, `does not hold`; either with `, within noise` where the 95 % interval of what decides includes
    its threshold; `not measurable` (a case has no value, or `note` says why); `not run at this scale` (it
    lacks runs of a case)"""
    note: Text
    """why a claim is not measurable, where `values` do not say it"""


class Contrasts:
    """`contrasts.csv`, a row for each comparison that a claim is made of"""

    number: Index
    """of the claim"""
    contrast: Text
    """what is compared, cases by their places, and what must be so: `case 2 - case 1 > 0`"""
    mean: Number
    """over seeds, of differences within each seed"""
    low: Number
    high: Number
    """ends of the 95 % interval; empty where nothing is known of the noise"""
    interval: Text
    """`student`: Student's t over three seeds or more; `measurement`: normal, from the standard errors of the
    values, of fewer seeds; `together`: normal, from that of one value of all seeds"""
    seeds: Whole
    """how many seeds"""


class ClaimValues:
    """`claim-values.csv`, a row for each case and seed of a claim"""

    number: Index
    case: Index
    """of the claim; place of the case in it, from 1"""
    value: Number
    """of the measure, for this seed; for all seeds taken together, in the row of the first"""
    standard_error: Number
    """of the value, from the measurement itself; empty where it is not known"""
    note: Text
    """the word in place of a value that is not there"""


class Table:
    """A table of the paper (`{table}.csv`), a row per cell"""

    table: Text
    number: Index
    source: Text
    """name of the study's entry; the cell's place, row by row; where the paper has the table"""
    row: Text
    column: Text
    """labels"""
    measure: Text
    unit: Text
    """what was measured, with its settings; `%`: in percent, the published numbers too"""
    mean: Number
    """mean over seeds; of a column of ranks, the place among the rows by this mean (1: the best; equals share
    theirs)"""
    low: Number
    high: Number
    interval: Text
    """ends of the 95 % interval for it, and how it was made: `student` (Student's t) or `bootstrap`
    (percentiles over resampled seeds, too narrow for few of them); empty for one seed"""
    half_width: Number
    """half of the width of a `student` interval: `mean` ± `half_width`"""
    seeds: Whole
    diverged_seeds: Whole
    """seeds that the mean is over; seeds whose run diverged, which it leaves out"""
    published: Number
    """the paper's number; where a column is relative to a row, so is this"""
    note: Text
    """why there is no mean: `diverged`, `not measured`, `not run at this scale`; empty if the study has no
    measure for the column"""


_STUDY = ["study", "scale"]

CLAIMS_CSV = File(
    names=_STUDY,
    row_keys=["number"],
    measures=["claim", "source", "measure", "cases", "values", "seeds", "expectation", "verdict", "note"],
    families=(Shared, Claims),
)
CONTRASTS_CSV = File(
    names=_STUDY,
    row_keys=["number", "contrast"],
    measures=["mean", "low", "high", "interval", "seeds"],
    families=(Shared, Contrasts),
)
CLAIM_VALUES_CSV = File(
    names=_STUDY,
    row_keys=["number", "case", "seed"],
    measures=["value", "standard_error", "note"],
    families=(Shared, ClaimValues),
)
TABLE_CSV = File(
    names=_STUDY,
    row_keys=["table", "number"],
    measures=[
        "row", "column", "measure", "unit", "mean", "half_width", "low", "high", "interval", "seeds",
        "diverged_seeds", "published", "source", "note",
    ],
    families=(Shared, Table),
)  # fmt: skip
