"""How far global models move."""


rule drift:
    """Measure the distances of global models from the start, the end and each other."""
    input:
        unpack(inputs_of("drift")),
    output:
        STAGES["drift"].outputs["drift"],
    log:
        STAGES["drift"].log,
    priority: MEASURED_FIRST
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=tracked("drift"),
    script:
        "../workflow/scripts/drift.py"
