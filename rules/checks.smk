"""What can change a result is tracked, or refused here: last, when all rules are known.

What a job computes depends on its inputs, its settings and the digest of its stage's script and of all that
this imports. So a rule runs that script, and nothing else. How many threads it is granted changes no result
(`src/fedscape/jobs/job.py`).
"""


def check_rule(one):
    """End with a line if a rule of ours does anything but run the script of the stage that it tracks."""
    if one.norun or Path(str(one.snakefile)).parent != ROOT / "rules":
        return
    stage = getattr(one.params.get("settings"), "stage", None)
    where = f"fedscape: rules/{Path(str(one.snakefile)).name}, rule {one.name}"
    if stage is None:
        sys.exit(f"{where}: no settings=tracked(...) in its params, by which its results are compared")
    script = f"../workflow/scripts/{stage}.py"
    if one.script != script:
        sys.exit(
            f"{where}: it runs {one.script or 'no script'}; allowed is {script}, whose digest is compared"
        )


for checked in workflow.rules:
    check_rule(checked)
