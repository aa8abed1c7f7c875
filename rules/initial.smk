"""Where the first global model of a run comes from."""


rule initial:
    """Make the weights that a run starts from."""
    input:
        dataset=dataset_files,
        proxy=start_proxy,
        source=start_source,
    output:
        "results/{study}/{scale}/initial/{dataset}/{model}/{init}/seed{seed}.safetensors",
    log:
        "results/{study}/{scale}/logs/initial/{dataset}_{model}_{init}_seed{seed}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/initial/{dataset}_{model}_{init}_seed{seed}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("initial"),
    script:
        "../workflow/scripts/initial.py"
