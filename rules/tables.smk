"""Tidy tables of a whole study."""


localrules:
    tables,
    claims,
    costs,
    table,


rule tables:
    """Collect all runs of a study into tidy tables."""
    input:
        unpack(inputs_of("tables")),
    output:
        runs=report(
            STAGES["tables"].outputs["runs"],
            category="Tables",
            caption="../workflow/report/runs.rst",
            labels=report_labels("runs", "All runs"),
        ),
        summary=STAGES["tables"].outputs["summary"],
        rounds=STAGES["tables"].outputs["rounds"],
        barriers=STAGES["tables"].outputs["barriers"],
        layers=STAGES["tables"].outputs["layers"],
        distances=STAGES["tables"].outputs["distances"],
        curvature=STAGES["tables"].outputs["curvature"],
        drift=STAGES["tables"].outputs["drift"],
    log:
        STAGES["tables"].log,
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
        unpack(inputs_of("claims")),
    output:
        csv=report(
            STAGES["claims"].outputs["csv"],
            category="Tables",
            caption="../workflow/report/claims.rst",
            labels=report_labels("claims", "What the paper claims, tested on these runs"),
        ),
        contrasts=STAGES["claims"].outputs["contrasts"],
        values=STAGES["claims"].outputs["values"],
        page=STAGES["claims"].outputs["page"],
    log:
        STAGES["claims"].log,
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
        unpack(inputs_of("costs")),
    output:
        STAGES["costs"].outputs["costs"],
    log:
        STAGES["costs"].log,
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
    """Make one table of the paper: our numbers beside its own."""
    input:
        unpack(inputs_of("table")),
    output:
        csv=report(
            STAGES["table"].outputs["csv"],
            category="Tables",
            caption="../workflow/report/table.rst",
            labels=report_labels("table"),
        ),
        page=STAGES["table"].outputs["page"],
    log:
        STAGES["table"].log,
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
