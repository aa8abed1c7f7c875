"""Targets: each study by its name, and the runs of one of its seeds."""

if MAIN:
    for study in CAMPAIGN.targets:

        rule:
            """One study by its name, at the scale of `--config scale=...`."""
            name:
                study
            input:
                targets_of(study),

        for seed in CAMPAIGN.get(study).seeds:

            rule:
                """The runs of one seed of a study and what is measured on them, without figures and tables."""
                name:
                    f"{study}_seed{seed}"
                input:
                    targets_of_seed(study, seed),

    if IS_WHOLE:

        # Asked for what it cannot make, Snakemake names no study. Results lie in folders, so no file of ours is meant.
        rule no_such_target:
            """Nothing to ask for: it answers names that are no study, rule or file with what there is."""
            input:
                refuse_target,
            output:
                "{target}",
            wildcard_constraints:
                target=r"[\w-]+",
