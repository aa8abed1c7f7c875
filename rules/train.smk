"""Federated training: the one expensive stage."""


rule train:
    """Train one run; keep its global models and, at chosen rounds, its clients' models."""
    input:
        dataset=dataset_files,
        partition="results/{study}/{scale}/partitions/{dataset}/{partition}/seed{seed}.npz",
        initial="results/{study}/{scale}/initial/{dataset}/{model}/{init}/seed{seed}.safetensors",
    output:
        trajectory="results/{study}/{scale}/runs/{dataset}/{model}/{partition}/{init}/{method}/seed{seed}/trajectory.safetensors",
        clients="results/{study}/{scale}/runs/{dataset}/{model}/{partition}/{init}/{method}/seed{seed}/clients.safetensors",
        final="results/{study}/{scale}/runs/{dataset}/{model}/{partition}/{init}/{method}/seed{seed}/final.safetensors",
        rounds="results/{study}/{scale}/runs/{dataset}/{model}/{partition}/{init}/{method}/seed{seed}/rounds.csv",
        timing="results/{study}/{scale}/runs/{dataset}/{model}/{partition}/{init}/{method}/seed{seed}/timing.csv",
        run="results/{study}/{scale}/runs/{dataset}/{model}/{partition}/{init}/{method}/seed{seed}/run.json",
    log:
        "results/{study}/{scale}/logs/train/{dataset}_{model}_{partition}_{init}_{method}_seed{seed}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/train/{dataset}_{model}_{partition}_{init}_{method}_seed{seed}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt * times(asked.roomier, wildcards),
        runtime=lambda wildcards, attempt: 480 * attempt * times(asked.longer, wildcards),
    params:
        settings=tracked("train"),
    script:
        "../workflow/scripts/train.py"
