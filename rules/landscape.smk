"""Planes through models, the loss surface on them, and both for ParaView."""


localrules:
    export,


rule plane:
    """Lay a plane through the models of a group of runs, and mark them on it."""
    input:
        **analysis_input("planes", trajectories="trajectory.safetensors"),
        clients=plane_clients,
    output:
        plane="results/{study}/{scale}/planes/{name}/{group}/plane.safetensors",
        markers="results/{study}/{scale}/planes/{name}/{group}/markers.csv",
    log:
        "results/{study}/{scale}/logs/plane/{name}_{group}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/plane/{name}_{group}.tsv"
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=tracked("plane"),
    script:
        "../workflow/scripts/plane.py"


rule surface_part:
    """Evaluate some columns of a surface that is split over several jobs (`parts` in the study)."""
    input:
        **analysis_input("planes"),
        plane="results/{study}/{scale}/planes/{name}/{group}/plane.safetensors",
        markers="results/{study}/{scale}/planes/{name}/{group}/markers.csv",
    output:
        temp("results/{study}/{scale}/planes/{name}/{group}/parts/{part}-of-{parts}.npz"),
    log:
        "results/{study}/{scale}/logs/surface_part/{name}_{group}_{part}-of-{parts}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/surface_part/{name}_{group}_{part}-of-{parts}.tsv"
    wildcard_constraints:
        part=r"\d+",
        parts=r"\d+",
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("surface_part"),
        surface=tracked("surface"),
    script:
        "../workflow/scripts/surface_part.py"


rule surface:
    """Evaluate the loss on a grid over a plane."""
    input:
        **analysis_input("planes"),
        plane="results/{study}/{scale}/planes/{name}/{group}/plane.safetensors",
        markers="results/{study}/{scale}/planes/{name}/{group}/markers.csv",
        parts=surface_parts,
    output:
        "results/{study}/{scale}/planes/{name}/{group}/surface.csv",
    log:
        "results/{study}/{scale}/logs/surface/{name}_{group}.log",
    benchmark:
        "results/{study}/{scale}/benchmarks/surface/{name}_{group}.tsv"
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("surface"),
    script:
        "../workflow/scripts/surface.py"


rule export:
    """Write a plane's surface and trajectories for ParaView."""
    input:
        surface="results/{study}/{scale}/planes/{name}/{group}/surface.csv",
        markers="results/{study}/{scale}/planes/{name}/{group}/markers.csv",
    output:
        surface="results/{study}/{scale}/planes/{name}/{group}/surface.vts",
        trajectories="results/{study}/{scale}/planes/{name}/{group}/trajectories.vtp",
    log:
        "results/{study}/{scale}/logs/export/{name}_{group}.log",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("export"),
    script:
        "../workflow/scripts/export.py"
