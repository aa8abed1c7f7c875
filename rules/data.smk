"""Raw files -> arrays, once for all studies -> which client holds which sample."""


localrules:
    dataset,
    partition,


rule dataset:
    """Prepare a data set: memory-mapped arrays that all jobs share."""
    output:
        paths.dataset_files("{dataset}"),
    log:
        "results/data/logs/{dataset}.log",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        settings=tracked("dataset"),
        # A function that takes `output` is not compared: moving the raw files makes nothing again.
        data_root=lambda wildcards, output: config["data_root"],
    script:
        "../workflow/scripts/dataset.py"


rule partition:
    """Deal a data set's samples to clients."""
    input:
        dataset=dataset_files,
    output:
        samples="results/{study}/{scale}/partitions/{dataset}/{partition}/seed{seed}.npz",
        counts="results/{study}/{scale}/partitions/{dataset}/{partition}/seed{seed}.csv",
    log:
        "results/{study}/{scale}/logs/partition/{dataset}_{partition}_seed{seed}.log",
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
