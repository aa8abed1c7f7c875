"""Figures, drawn from CSVs and nothing else."""


localrules:
    figure,


rule figure:
    """Draw one figure of a study."""
    input:
        unpack(inputs_of("figure")),
    output:
        png=report(
            STAGES["figure"].outputs["png"],
            category="Figures",
            caption="../workflow/report/figure.rst",
            labels=report_labels("figure"),
        ),
        svg=STAGES["figure"].outputs["svg"],
    log:
        STAGES["figure"].log,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("figure"),
    script:
        "../workflow/scripts/figure.py"
