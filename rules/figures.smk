"""Figures, drawn from CSVs and nothing else."""


localrules:
    figure,


rule figure:
    """Draw one figure of a study."""
    input:
        unpack(figure_files),
    output:
        png=report(
            "results/{study}/{scale}/figures/{figure}.png",
            category="Figures",
            caption="../workflow/report/figure.rst",
            labels={"study": "{study}", "scale": "{scale}", "figure": "{figure}"},
        ),
        svg="results/{study}/{scale}/figures/{figure}.svg",
    log:
        "results/{study}/{scale}/logs/figure/{figure}.log",
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
