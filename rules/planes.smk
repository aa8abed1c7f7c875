"""Planes through models, the loss surface on them, and both for ParaView."""


localrules:
    export,


rule plane:
    """Lay a plane through the models of a group of runs, and mark them on it."""
    input:
        unpack(inputs_of("plane")),
    output:
        plane=STAGES["plane"].outputs["plane"],
        markers=STAGES["plane"].outputs["markers"],
    log:
        STAGES["plane"].log,
    benchmark:
        STAGES["plane"].benchmark
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=tracked("plane"),
        resume=resume_of("plane"),
    script:
        "../workflow/scripts/plane.py"


rule surface_part:
    """Evaluate some columns of a surface that is split over several jobs (`parts` in the study)."""
    input:
        unpack(inputs_of("surface_part")),
    output:
        temp(STAGES["surface_part"].outputs["points"]),
    log:
        STAGES["surface_part"].log,
    benchmark:
        STAGES["surface_part"].benchmark
    wildcard_constraints:
        part=r"\d+",
        parts=r"\d+",
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("surface_part"),
        resume=resume_of("surface_part"),
        surface=tracked("surface"),
    script:
        "../workflow/scripts/surface_part.py"


rule surface:
    """Evaluate the loss on a grid over a plane."""
    input:
        unpack(inputs_of("surface")),
    output:
        STAGES["surface"].outputs["surface"],
    log:
        STAGES["surface"].log,
    benchmark:
        STAGES["surface"].benchmark
    priority: MEASURED_FIRST
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        settings=tracked("surface"),
        resume=resume_of("surface"),
    script:
        "../workflow/scripts/surface.py"


rule export:
    """Write a plane's surface and trajectories for ParaView."""
    input:
        unpack(inputs_of("export")),
    output:
        surface=STAGES["export"].outputs["surface"],
        trajectories=STAGES["export"].outputs["trajectories"],
    log:
        STAGES["export"].log,
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=tracked("export"),
    script:
        "../workflow/scripts/export.py"
