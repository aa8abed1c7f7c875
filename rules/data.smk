"""Raw files -> arrays, once for all studies -> which client holds which sample."""


localrules:
    dataset,
    partition,


rule dataset:
    """Prepare a data set: memory-mapped arrays that all jobs share."""
    output:
        list(STAGES["dataset"].outputs.values()),
    log:
        STAGES["dataset"].log,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=tracked("dataset"),
        # A function that takes `output` is not compared: moving the raw files reruns nothing.
        data_root=lambda wildcards, output: CAMPAIGN.data_root,
    script:
        "../workflow/scripts/dataset.py"


rule partition:
    """Deal a data set's samples to clients."""
    input:
        unpack(inputs_of("partition")),
    output:
        samples=STAGES["partition"].outputs["samples"],
        counts=STAGES["partition"].outputs["counts"],
    log:
        STAGES["partition"].log,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("partition"),
    script:
        "../workflow/scripts/partition.py"
