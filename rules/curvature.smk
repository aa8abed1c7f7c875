"""How the loss is curved at a model."""


rule curvature:
    """Measure eigenvalues and traces of the Hessian, and clients' agreement, at models of a group of runs."""
    input:
        **analysis_input("curvature", trajectories="trajectory.safetensors"),
        clients=measured_clients,
        partitions=measured_partitions,
    output:
        curvature="results/{study}/{scale}/curvature/{name}/{group}/curvature.csv",
        density="results/{study}/{scale}/curvature/{name}/{group}/density.csv",
    log:
        "results/{study}/{scale}/logs/curvature/{name}_{group}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/curvature/{name}_{group}.tsv"
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,  # graphs of gradients are kept
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("curvature"),
    script:
        "../workflow/scripts/curvature.py"
