"""What every column of every CSV means, for results/README.md: by files, columns -> meaning, in Markdown.

A column may mean something else in other files. Types and units stand in `columns.py`.
"""

MEANINGS: dict[str, dict[str, str]] = {
    "In several files": {
        "study scale": "the study, and the scale that it was run at",
        "dataset model partition init method seed": (
            "the run: what the study file calls its parts, and its seed; `*` where a row is of several runs"
        ),
        "plane connectivity curvature drift": "name of the study's entry that asked for the row",
        "group": (
            "runs that were analysed together: their data set, the values that they share by the entry's "
            "`each` (else `all`), their seed"
        ),
        "round": (
            "of a global model: after how many rounds, 0 is the start; of clients: the round in which "
            "they trained"
        ),
        "client clients": "a client's number, from 0; how many took part in the round",
        "samples": (
            "samples that the row's measures were evaluated on; in `rounds.csv` those that the round's "
            "clients hold, in `runs.csv` the most of a round, in a partition's CSV those of the class at "
            "the client"
        ),
        "loss error": (
            "mean cross-entropy in nats, share classified wrongly: of a marker's own model, with its own "
            "batch-norm statistics; of the point of a surface or path, on training samples unless `split` "
            "says `test`"
        ),
        "loss_se error_se": "their standard errors over the samples",
        "split": "`train` or `test` samples",
        "batch_norm": (
            "how batch-norm statistics were chosen: `keep` (the centre's, on a path its first end's, in a "
            "mixture those of the model named by `rest`), `interpolate` (mixed like the weights), "
            "`recalibrate` (measured at each point, the ends of a path or pair included, so that all are "
            "on the same footing), `none` (the model has none)"
        ),
        "diverged": (
            "whether the run stopped because its loss or its model was no longer finite: on that last row "
            "of `rounds.csv`, or for the run"
        ),
    },
    "A partition's CSV": {
        "class class_name": (
            "number of a class, from 0, and its name; a row per client and class, zeros included. Where "
            "these would be more than a million rows (clients of text with a large vocabulary): -1 and "
            "`*`, all classes together"
        ),
    },
    "`rounds.csv`, `runs.csv`": {
        "train_loss train_accuracy": (
            "global model on the data of all clients, without augmentation: mean cross-entropy in nats, "
            "share classified rightly"
        ),
        "validation_loss validation_accuracy test_loss test_accuracy": "the same on held-out samples",
        "client_loss": "mean loss of the clients' own steps in the round, each measured before its step",
        "mean_update_norm mean_cosine minimum_cosine": (
            "updates of the round's clients (model after it minus global model before it, unweighted): "
            "mean L2 norm, cosines over pairs; the smallest is empty where all updates together take more "
            "than 1 GiB"
        ),
        "gradient_diversity inverse_gradient_diversity": (
            "sum of squared update norms over the squared norm of their sum: 1/n if equal, 1 if "
            "orthogonal; and one over it"
        ),
        "rounds": "the last round with a finite model, whose losses and accuracies `runs.csv` has",
        "grid": (
            "of a method that is a point of a grid: the values that stand for it, such as "
            "`lr=0.1;server.lr=0.01`. All points are there; what reports one of them chose it by its mean "
            "over seeds on held-out samples"
        ),
        "best_test_accuracy best_round chosen_on": (
            "test accuracy in the best round, that round, and the column that chose it: "
            "`validation_accuracy`, or without a validation split `test_accuracy`, which flatters"
        ),
    },
    "`timing.csv`, `costs.csv`": {
        "stage name group part": (
            "of a row of `costs.csv`: which rule's job, and which one; a surface that was split has a row "
            "per part"
        ),
        "training_seconds evaluation_seconds": "training and aggregation; evaluation",
        "seconds": "of a run: both, over every process that worked on it",
        "median_round_seconds median_training_seconds": (
            "of one round, without round 0: training and evaluation; without evaluation"
        ),
        "job_seconds job_peak_memory_mib": (
            "of the job's process from start to end, imports included, as Snakemake measured it: the last "
            "process, if a job was stopped and carried on; empty if it was made before this was kept"
        ),
        "peak_memory_mib": "most memory so far, MiB: of the GPU, or of the process on a CPU",
    },
    "`markers.csv`, `surface.csv`": {
        "x y axes": (
            "coordinates on the plane along its two directions, from its centre, and what these are: "
            "`pca` (principal directions), `models` (through three models), `eigenvectors` (of the Hessian): "
            "L2 distance in parameter space; `random`: multiples of a direction with each filter's norm"
        ),
        "i j": "a surface's grid point: column along `x`, row along `y`",
        "client": (
            "whose model a marker is, or whose samples a surface's loss is the mean over; empty: the "
            "global model, all clients' samples"
        ),
        "role point": (
            "of a marker: `global` (model after `round`), `start`, `client` and `aggregate` (of one "
            "round: where it starts, what clients hand back, what becomes of it), `path` (a client after "
            "`point` local epochs), `diverged` (a run that ended early and is left out; no measures)"
        ),
        "residual": (
            "distance of a model from the plane, as a share of its distance from the centre: 0 lies on "
            "it, 1 is perpendicular"
        ),
        "loss_under_policy": (
            "the model's own weights with the batch-norm statistics that the surface has there; equal to "
            "`loss` without batch norm"
        ),
        "loss_at_projection error_at_projection": (
            "of the point where the marker is drawn; on a picture that tells the truth "
            "`loss_under_policy` and `loss_at_projection` agree"
        ),
        "own_loss own_loss_at_start": (
            "loss on the client's own samples: of its model, and of the model that its round started from"
        ),
        "distance_to_reference distance_to_reference_path distance_to_reference_end": (
            "L2 distance, in all dimensions, to the plane's first run of the same seed: to its model "
            "after the same round, to the nearest point of its path, to its last model"
        ),
        "explained_x explained_y": (
            "share of the models' squared distances from the plane's centre that lies along each principal "
            "direction; a share of their variance only where the centre is their mean (kind `finals`, "
            "`centre: mean`)"
        ),
        "curvature_x curvature_y": "the Hessian's eigenvalues along eigenvector axes",
        "bottom_x bottom_y bottom_loss bottom_shift": (
            "on the plane of one round's clients, the lowest point downhill from their aggregate: where it "
            "is, finer than the surface's grid, its loss, and how far apart the last two estimates of the "
            "place lie; empty where the loss keeps falling, and on other planes"
        ),
        "precision": "type in which the network was evaluated",
        "interpolated interpolation_error": (
            "whether a point's loss was filled in bicubically between evaluated ones (`error` and standard "
            "errors are empty then), and the largest relative error of such losses among the points that "
            "were evaluated to check it: other points may be farther off"
        ),
    },
    "`path.csv`, `barriers.csv`": {
        "to_partition to_init to_method to_seed": "the run at the other end; data set and model are the same",
        "t": (
            "position on the line between the two last models: 0 is the run itself, 1 the run named by `to_*`"
        ),
        "measure": "what the barrier is of: `loss` or `error`",
        "sup argmax midpoint": (
            "barrier: highest point of the curve above the straight line between its ends, where that is, "
            "and the height in the middle"
        ),
        "highest": "the largest value on the line, its ends included",
        "sup_se midpoint_se loss_rise_se error_rise_se": (
            "standard errors over the samples of `sup`, `midpoint`, and of a point's rise above the straight "
            "line: of training samples as estimates for all that the clients have (0 where all were "
            "evaluated), of test samples for images that nobody has seen"
        ),
        "from_value to_value": "the measure at `t` = 0 and 1; of a mixture: of the two models themselves",
    },
    (
        "`layers.csv`: models that are the mean of two models in some layers, and one of the two in the "
        "others; a row per mixture, split and measure. `distances.csv`: a row per layer and one for all "
        "weights. Both also have the `to_*` columns above."
    ): {
        "between": (
            "what the two models are: of two `runs`, of two `clients` of a round, or of two `rounds` of a run"
        ),
        "round to_round": "of the first and of the second model",
        "client to_client": "whose models they are; -1: the global one",
        "alignment": (
            "`none`: as they are; `weights`: the units of the second model matched to the first's by "
            "their weights; `repair`, `weights-repair`: with the statistics of the average's activations "
            "repaired"
        ),
        "regime": (
            "which layers are averaged: `full` (all), `single` (one), `shallow`, `deep`, `random`, "
            "`middle-out`, `outside-in` (one more after the other, in this order); `direction`: none, but "
            "one layer is moved in a random direction, as far as averaging moves it"
        ),
        "layer depth": (
            "name and depth (0: the shallowest) of the single layer, or of the one added last; empty and "
            "-1 for all"
        ),
        "averaged": "how many layers are averaged",
        "rest": (
            "which model the other layers are of: `from` (the first) or `to` (the second), of which there "
            "are none at the end of an order; `both` for `full`"
        ),
        "draw": "number of the random direction; 0 for other regimes",
        "value": "the measure of the mixture",
        "barrier ratio": (
            "`value` minus the mean of `from_value` and `to_value`, above 0 where the mixture is worse; "
            "the same over that mean"
        ),
        "parameters": "how many numbers the layer has",
        "l2 cosine": (
            "between the weights of the two models: L2 distance; cosine of the angle, 1 for the same "
            "direction"
        ),
        "l2_from_start cosine_from_start l2_to_start cosine_to_start": (
            "the same between each model and the start of its run; empty for a second model whose units "
            "were matched"
        ),
        "units_moved": "how many units the matching moved",
    },
    (
        "`curvature.csv`, `density.csv` (which has `eigenvalue` and `density` in place of the columns "
        "from `quantity` to `residual`)"
    ): {
        "of client": (
            "whose model: `global`, or `client` and its number; `clients`: what compares them; -1: no "
            "client's"
        ),
        "data": (
            "the training samples that the loss is the mean over: `global`, all clients' together; `own`, "
            "the client's"
        ),
        "quantity value": (
            "`eigenvalue`, `trace` (sum of all), `layer-trace` (of the block of a layer), `H_N` and `H_D` "
            "(difference of the norms of clients' Hessian diagonals, cosine between them; means over "
            "pairs)"
        ),
        "index": "of an eigenvalue: 1 is the largest, -1 the smallest; else 0",
        "layer": "of a `layer-trace`: the module",
        "definition": (
            "of `H_N`, `H_D`: `paper` (an entry per parameter, squared norms) or `code` (a sum per "
            "tensor, norms, each client's pair with itself included)"
        ),
        "estimator": (
            "how it was found: `lanczos`, `exact` (from per-sample gradients), `hutchinson`, `hutch++`, "
            "`xtrace`"
        ),
        "standard_error": "of an estimate; empty where nothing is random",
        "residual": "of an eigenvalue: relative error of its eigenpair",
        "products": "Hessian-vector products spent on it, and on all that was found together with it",
        "eigenvalue density": "the density of the eigenvalues there, smoothed; its integral is 1",
    },
    "`drift.csv`": {
        "step_norm distance_start distance_end": (
            "L2 distance of the global model from the round before (empty where that was not kept), from "
            "the start, from the end"
        ),
    },
    "`claims.csv`": {
        "number claim source": "place in the study's list, the claim in words, where the paper says it",
        "measure": "what was measured, with its settings, and on which plane or connection",
        "cases values": (
            "the runs compared, and one value per case, a mean over seeds, `;` between them; in place of one "
            "that is not there: `diverged` (a run that it needs), `learned nothing`, `not measured`, `not "
            "run`, `no seed in common`"
        ),
        "seeds": "how many seeds all cases have, on which they are compared",
        "expectation": "what must be so for the claim to hold",
        "verdict": (
            "`holds`, `does not hold`; either with `, within noise` where the 95 % interval of what decides "
            "includes its threshold; `not measurable` (a case has no value, or `note` says why); `not run at "
            "this scale` (it lacks runs of a case)"
        ),
        "note": "why a claim is not measurable, where `values` do not say it",
    },
    "`contrasts.csv`, a row for each comparison that a claim is made of": {
        "number": "of the claim",
        "contrast": "what is compared, cases by their places, and what must be so: `case 2 - case 1 > 0`",
        "mean": "over seeds, of differences within each seed",
        "low high": "ends of the 95 % interval; empty where nothing is known of the noise",
        "interval": (
            "`student`: Student's t over three seeds or more; `measurement`: normal, from the standard "
            "errors of the values, of fewer seeds"
        ),
        "seeds": "how many seeds",
    },
    "`claim-values.csv`, a row for each case and seed of a claim": {
        "number case": "of the claim; place of the case in it, from 1",
        "value": "of the measure, for this seed",
        "standard_error": "of the value, from the measurement itself; empty where it is not known",
        "note": "the word in place of a value that is not there",
    },
    "A table of the paper (`{table}.csv`), a row per cell": {
        "table number source": (
            "name of the study's entry; the cell's place, row by row; where the paper has the table"
        ),
        "row column": "labels",
        "measure unit": "what was measured, with its settings; `%`: in percent, the published numbers too",
        "mean": (
            "mean over seeds; of a column of ranks, the place among the rows by this mean (1: the best; "
            "equals share theirs)"
        ),
        "low high interval": (
            "ends of the 95 % interval for it, and how it was made: `student` (Student's t) or "
            "`bootstrap` (percentiles over resampled seeds, too narrow for few of them); empty for one "
            "seed"
        ),
        "half_width": "half of the width of a `student` interval: `mean` ± `half_width`",
        "seeds diverged_seeds": "seeds that the mean is over; seeds whose run diverged, which it leaves out",
        "published": "the paper's number; where a column is relative to a row, so is this",
        "note": (
            "why there is no mean: `diverged`, `not measured`, `not run at this scale`; empty if the "
            "study has no measure for the column"
        ),
    },
}
