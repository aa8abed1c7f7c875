"""Tidy tables of a whole study."""


localrules:
    tables,
    claims,
    costs,
    table,


rule tables:
    """Collect all runs of a study into tidy tables."""
    input:
        rounds=all_runs("rounds.csv"),
        barriers=all_groups("connectivity", "barriers.csv"),
        layers=all_groups("connectivity", "layers.csv"),
        distances=all_groups("connectivity", "distances.csv"),
        curvatures=all_groups("curvature", "curvature.csv"),
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
        layers="results/{study}/{scale}/tables/layers.csv",
        distances="results/{study}/{scale}/tables/distances.csv",
        curvature="results/{study}/{scale}/tables/curvature.csv",
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


rule claims:
    """Test what the paper claims on the numbers of a study."""
    input:
        runs="results/{study}/{scale}/tables/runs.csv",
        rounds=claimed("rounds"),
        barriers=claimed("barriers"),
        layers=claimed("layers"),
        distances=claimed("distances"),
        markers=claimed("markers"),
        surfaces=claimed("surface"),
        curvatures=claimed("curvature"),
    output:
        csv="results/{study}/{scale}/tables/claims.csv",
        contrasts="results/{study}/{scale}/tables/contrasts.csv",
        values="results/{study}/{scale}/tables/claim-values.csv",
        page=report(
            "results/{study}/{scale}/tables/claims.md",
            category="Tables",
            caption="../workflow/report/claims.rst",
        ),
    log:
        "results/{study}/{scale}/logs/claims.log",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("claims"),
    script:
        "../workflow/scripts/claims.py"


rule costs:
    """Collect what the jobs of a study cost: seconds and memory."""
    input:
        timings=all_runs("timing.csv"),
        # For their benchmarks, which are no inputs: one that is missing makes nothing run.
        made=measured_jobs,
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


rule table:
    """One table of the paper, ours beside its numbers."""
    input:
        runs="results/{study}/{scale}/tables/runs.csv",
        rounds=tabled("rounds"),
        timings=tabled("timing"),
        barriers=tabled("barriers"),
        layers=tabled("layers"),
        distances=tabled("distances"),
        markers=tabled("markers"),
        surfaces=tabled("surface"),
        curvatures=tabled("curvature"),
    output:
        csv="results/{study}/{scale}/tables/{table}.csv",
        page=report(
            "results/{study}/{scale}/tables/{table}.md",
            category="Tables",
            caption="../workflow/report/table.rst",
        ),
    log:
        "results/{study}/{scale}/logs/tables/{table}.log",
    wildcard_constraints:
        # The other rules' files lie in the same folder.
        table=f"(?!(?:{'|'.join(OF_EVERY_STUDY)})[.]){NAME}",
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("table"),
    script:
        "../workflow/scripts/table.py"
