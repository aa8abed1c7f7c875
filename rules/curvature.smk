"""How sharp the loss is at a model."""


rule hessian:
    """Measure the largest eigenvalues of the Hessian at checkpoints of a group of runs."""
    input:
        **analysis_input("curvature", trajectories="trajectory.safetensors"),
    output:
        "results/{study}/{scale}/curvature/{name}/{group}/hessian.csv",
    log:
        "results/{study}/{scale}/logs/hessian/{name}_{group}.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=tracked("hessian"),
    script:
        "../workflow/scripts/hessian.py"
