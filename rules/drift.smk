"""How far global models move, and how far clients part."""


rule drift:
    """Measure update norms, distances and the agreement of clients for a group of runs."""
    input:
        **analysis_input("drift", trajectories="trajectory.safetensors", clients="clients.safetensors"),
    output:
        "results/{study}/{scale}/drift/{name}/{group}/drift.csv",
    log:
        "results/{study}/{scale}/logs/drift/{name}_{group}.log",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=tracked("drift"),
    script:
        "../workflow/scripts/drift.py"
