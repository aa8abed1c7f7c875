"""Lines between models and the barriers on them; barriers layer by layer."""


rule path:
    """Evaluate the models on the straight lines between pairs of final models."""
    input:
        **analysis_input("connectivity", trajectories="trajectory.safetensors"),
    output:
        path="results/{study}/{scale}/connectivity/{name}/{group}/path.csv",
        barriers="results/{study}/{scale}/connectivity/{name}/{group}/barriers.csv",
    log:
        "results/{study}/{scale}/logs/path/{name}_{group}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/path/{name}_{group}.tsv"
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=tracked("path"),
    script:
        "../workflow/scripts/path.py"


rule layers:
    """Average pairs of models in some of their layers, and evaluate what comes out."""
    input:
        **analysis_input("connectivity", trajectories="trajectory.safetensors"),
        clients=connected_clients,
    output:
        layers="results/{study}/{scale}/connectivity/{name}/{group}/layers.csv",
        distances="results/{study}/{scale}/connectivity/{name}/{group}/distances.csv",
    log:
        "results/{study}/{scale}/logs/layers/{name}_{group}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/layers/{name}_{group}.tsv"
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("layers"),
    script:
        "../workflow/scripts/layers.py"
