"""Where the first global model of a run comes from."""


localrules:
    initial,


rule initial:
    """Make the weights that a run starts from."""
    input:
        unpack(inputs_of_start),
    output:
        STAGES["initial"].outputs["start"],
    log:
        STAGES["initial"].log,
    benchmark:
        STAGES["initial"].benchmark
    wildcard_constraints:
        study=whose_starts(trained=False),
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=tracked("initial"),
        resume=resume_of("initial"),
    script:
        "../workflow/scripts/initial.py"


# Where training makes them: in the queue of a cluster, while other starts are made where Snakemake runs.
use rule initial as pretrain with:
    wildcard_constraints:
        study=whose_starts(trained=True),
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
