"""What can change a result is tracked, or refused here: last, when all rules are known.

What a job computes depends on its inputs, its settings and the digest of its stage's script and of all that
this imports. So a rule runs that script, and nothing else. How many threads it is granted changes no result
(`src/fedscape/jobs/job.py`).
"""


def check_rule(declared):
    """Exit with one line if a rule of ours runs anything but its stage's script, or tracks what its home does not."""
    if declared.norun or Path(str(declared.snakefile)).parent != ROOT / "rules":
        return
    stage = getattr(declared.params.get("settings"), "stage", None)
    where = f"fedscape: rules/{Path(str(declared.snakefile)).name}, rule {declared.name}"
    if stage is None:
        sys.exit(f"{where}: no settings=tracked(...) in its params, by which its results are compared")
    script = f"../workflow/scripts/{stage}.py"
    if declared.script != script:
        sys.exit(
            f"{where}: it runs {declared.script or 'no script'}; allowed is {script}, whose digest is compared"
        )

    if declared.name not in STAGES:
        sys.exit(
            f"{where}: called {declared.name}; `use rule * from` a module keeps its names, so leave out `as`"
        )
    tracks = tuple(param.stage for param in declared.params if hasattr(param, "stage"))
    if tracks != (STAGES[declared.name].tracks or (declared.name,)):
        sys.exit(f"{where}: tracks {', '.join(tracks)}, not what its home in study/stages/ says")


for checked in workflow.rules:
    check_rule(checked)
