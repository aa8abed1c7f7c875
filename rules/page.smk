"""The page of a study: what came of it, to read and to turn around."""


localrules:
    page,


rule page:
    """Write the page of a study."""
    input:
        unpack(inputs_of("page")),
    output:
        html=STAGES["page"].outputs["html"],
        library=STAGES["page"].outputs["library"],
    log:
        STAGES["page"].log,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=tracked("page"),
    script:
        "../workflow/scripts/page.py"
