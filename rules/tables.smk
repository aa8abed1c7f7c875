"""Tidy tables of a whole study."""


localrules:
    tables,
    costs,


rule tables:
    """Collect all runs of a study into tidy tables."""
    input:
        rounds=all_runs("rounds.csv"),
        barriers=all_groups("connectivity", "barriers.csv"),
        hessians=all_groups("curvature", "hessian.csv"),
        drifts=all_groups("drift", "drift.csv"),
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
        all_runs("timing.csv"),
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
