"""Federated training: the one expensive stage."""


rule train:
    """Train one run; keep its global models and, at chosen rounds, its clients' models."""
    input:
        unpack(inputs_of("train")),
    output:
        trajectory=STAGES["train"].outputs["trajectory"],
        clients=STAGES["train"].outputs["clients"],
        final=STAGES["train"].outputs["final"],
        rounds=STAGES["train"].outputs["rounds"],
        timing=STAGES["train"].outputs["timing"],
        run=STAGES["train"].outputs["run"],
    log:
        STAGES["train"].log,
    benchmark:
        STAGES["train"].benchmark
    wildcard_constraints:
        study=whose_runs(imported=False),
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt * times(memory_factor, wildcards),
        runtime=lambda wildcards, attempt: 480 * attempt * times(time_factor, wildcards),
    params:
        settings=tracked("train"),
        resume=resume_of("train"),
    script:
        "../workflow/scripts/train.py"
