"""Columns that several kinds of CSV share."""

from fedscape.columns.column import Flag, Nats, Seed, Share, Text, Whole


class Shared:
    """In several files"""

    study: Text
    scale: Text
    """the study, and the scale that it was run at"""
    dataset: Text
    model: Text
    partition: Text
    init: Text
    method: Text
    seed: Seed
    """the run: what the study file calls its parts, and its seed; `*` where a row is of several runs"""
    plane: Text
    connectivity: Text
    curvature: Text
    drift: Text
    """name of the study's entry that asked for the row"""
    group: Text
    """runs that were analysed together: their data set, the values that they share by the entry's `each`
    (else `all`), their seed"""
    round: Whole
    """of a global model: after how many rounds, 0 is the start; of clients: the round in which they trained
    """
    client: Whole
    clients: Whole
    """a client's number, from 0; how many took part in the round"""
    samples: Whole
    """samples that the row's measures were evaluated on; in `rounds.csv` those that the round's clients hold,
    in `runs.csv` the most of a round, in a partition's CSV those of the class at the client"""
    loss: Nats
    error: Share
    """mean cross-entropy in nats, share classified wrongly: of a marker's own model, with its own batch-norm
    statistics; of the point of a surface or path, on training samples unless `split` says `test`"""
    loss_se: Nats
    error_se: Share
    """their standard errors over the samples"""
    split: Text
    """`train` or `test` samples"""
    batch_norm: Text
    """how batch-norm statistics were chosen: `keep` (the centre's, on a path its first end's, in a mixture
    those of the model named by `rest`), `interpolate` (mixed like the weights), `recalibrate` (measured at
    each point, the ends of a path or pair included, so that all are on the same footing), `none` (the model
    has none)"""
    diverged: Flag
    """whether the run stopped because its loss or its model was no longer finite: on that last row of
    `rounds.csv`, or for the run"""
