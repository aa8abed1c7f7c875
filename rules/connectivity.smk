"""Straight and bent lines between models and the barriers on them; barriers layer by layer."""


rule path:
    """Evaluate the models on the straight lines between pairs of final models."""
    input:
        unpack(inputs_of("path")),
    output:
        path=STAGES["path"].outputs["path"],
        barriers=STAGES["path"].outputs["barriers"],
    log:
        STAGES["path"].log,
    benchmark:
        STAGES["path"].benchmark
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=tracked("path"),
        resume=resume_of("path"),
    script:
        "../workflow/scripts/path.py"


rule curve:
    """Train curves between pairs of models, and evaluate the models on them and on the straight lines."""
    input:
        unpack(inputs_of("curve")),
    output:
        curve=STAGES["curve"].outputs["curve"],
        curve_barriers=STAGES["curve"].outputs["curve_barriers"],
        bends=STAGES["curve"].outputs["bends"],
        weights=STAGES["curve"].outputs["weights"],
    log:
        STAGES["curve"].log,
    benchmark:
        STAGES["curve"].benchmark
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 480 * attempt,
    params:
        settings=tracked("curve"),
        resume=resume_of("curve"),
    script:
        "../workflow/scripts/curve.py"


rule layers:
    """Average pairs of models in some of their layers, and evaluate what comes out."""
    input:
        unpack(inputs_of("layers")),
    output:
        layers=STAGES["layers"].outputs["layers"],
        distances=STAGES["layers"].outputs["distances"],
    log:
        STAGES["layers"].log,
    benchmark:
        STAGES["layers"].benchmark
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("layers"),
        resume=resume_of("layers"),
    script:
        "../workflow/scripts/layers.py"
