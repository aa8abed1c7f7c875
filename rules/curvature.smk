"""How the loss is curved at a model."""


rule curvature:
    """Measure eigenvalues and traces of the Hessian, and clients' agreement, at models of a group of runs."""
    input:
        unpack(inputs_of("curvature")),
    output:
        curvature=STAGES["curvature"].outputs["curvature"],
        density=STAGES["curvature"].outputs["density"],
    log:
        STAGES["curvature"].log,
    benchmark:
        STAGES["curvature"].benchmark
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,  # graphs of gradients are kept
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("curvature"),
        resume=resume_of("curvature"),
    script:
        "../workflow/scripts/curvature.py"
