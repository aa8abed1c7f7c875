"""Runs that were trained elsewhere."""


rule import:
    """Bring models that were trained elsewhere into the files that a run of ours has."""
    input:
        unpack(inputs_of("import")),
    output:
        trajectory=STAGES["import"].outputs["trajectory"],
        clients=STAGES["import"].outputs["clients"],
        final=STAGES["import"].outputs["final"],
        rounds=STAGES["import"].outputs["rounds"],
        timing=STAGES["import"].outputs["timing"],
        run=STAGES["import"].outputs["run"],
    log:
        STAGES["import"].log,
    wildcard_constraints:
        study=whose_runs(imported=True),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=tracked("import"),
    script:
        "../workflow/scripts/import.py"
