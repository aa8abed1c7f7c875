"""Tidy tables of a whole study."""


localrules:
    tables,
    costs,


rule tables:
    """Collect all runs of a study into tidy tables."""
    input:
        rounds=gently(
            lambda wildcards: run_files(study_of(wildcards), study_of(wildcards).runs, "rounds.csv")
        ),
        barriers=gently(lambda wildcards: group_files(study_of(wildcards), "connectivity", "barriers.csv")),
        hessians=gently(lambda wildcards: group_files(study_of(wildcards), "curvature", "hessian.csv")),
        drifts=gently(lambda wildcards: group_files(study_of(wildcards), "drift", "drift.csv")),
    output:
        runs="results/{study}/{scale}/tables/runs.csv",
        summary=report(
            "results/{study}/{scale}/tables/runs.md",
            category="Tables",
            caption="../workflow/report/runs.rst",
        ),
        rounds="results/{study}/{scale}/tables/rounds.csv",
        barriers="results/{study}/{scale}/tables/barriers.csv",
        hessian="results/{study}/{scale}/tables/hessian.csv",
        drift="results/{study}/{scale}/tables/drift.csv",
    log:
        "results/{study}/{scale}/logs/tables.log",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("tables"),
    script:
        "../workflow/scripts/tables.py"


rule costs:
    """Collect what the runs of a study cost: seconds and memory."""
    input:
        gently(lambda wildcards: run_files(study_of(wildcards), study_of(wildcards).runs, "timing.csv")),
    output:
        "results/{study}/{scale}/tables/costs.csv",
    log:
        "results/{study}/{scale}/logs/costs.log",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("costs"),
    script:
        "../workflow/scripts/costs.py"
