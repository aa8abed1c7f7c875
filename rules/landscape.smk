"""Planes through models, and the loss surface on them."""


rule plane:
    """Lay a plane through the models of a group of runs, and mark them on it."""
    input:
        **analysis_input("planes", trajectories="trajectory.safetensors"),
    output:
        plane="results/{study}/{scale}/planes/{name}/{group}/plane.safetensors",
        markers="results/{study}/{scale}/planes/{name}/{group}/markers.csv",
    log:
        "results/{study}/{scale}/logs/plane/{name}_{group}.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=tracked("plane"),
    script:
        "../workflow/scripts/plane.py"


rule surface:
    """Evaluate the loss on a grid over a plane."""
    input:
        **analysis_input("planes"),
        plane="results/{study}/{scale}/planes/{name}/{group}/plane.safetensors",
        markers="results/{study}/{scale}/planes/{name}/{group}/markers.csv",
    output:
        "results/{study}/{scale}/planes/{name}/{group}/surface.csv",
    log:
        "results/{study}/{scale}/logs/surface/{name}_{group}.log",
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("surface"),
    script:
        "../workflow/scripts/surface.py"
