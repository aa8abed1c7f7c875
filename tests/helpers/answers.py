"""Prints, a line a study, what each of its jobs would be made with today: run in a clone, with the clone's library."""

import json
import sys
from pathlib import Path

from fedscape.command.why import today
from fedscape.study.files import read_yaml

config = read_yaml(Path("config", "config.yaml"))
for study in sys.argv[1:]:
    strings, jobs, _ = today(config, study, "quick")
    answers = [
        {"rule": job.rule, "outputs": job.outputs, "inputs": sorted(job.inputs), "strings": strings(job)}
        for job in jobs
    ]
    print(json.dumps(answers))
