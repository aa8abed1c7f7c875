"""How the loss is curved at a model."""


rule hessian:
    """Measure eigenvalues and traces of the Hessian, and clients' agreement, at models of a group of runs."""
    input:
        **analysis_input("curvature", trajectories="trajectory.safetensors"),
        clients=measured_clients,
        partitions=measured_partitions,
    output:
        curvature="results/{study}/{scale}/curvature/{name}/{group}/curvature.csv",
        density="results/{study}/{scale}/curvature/{name}/{group}/density.csv",
    log:
        "results/{study}/{scale}/logs/hessian/{name}_{group}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/hessian/{name}_{group}.tsv"
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,  # graphs of gradients are kept
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("hessian"),
    script:
        "../workflow/scripts/hessian.py"
