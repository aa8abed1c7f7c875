"""`fedscape new NAME`: a study of one's own to begin with."""

import os
import shlex
from pathlib import Path

from fedscape.command.repository import SNAKEFILE, clone, nearest
from fedscape.errors import FedscapeError
from fedscape.files import write_text
from fedscape.study.campaign import check_study_name
from fedscape.study.project import CONFIG, STUDIES

_TEMPLATE = """\
# A study of your own: `snakemake {name} --cores all` makes it in a few minutes. Every key: config/README.md
title: What I want to know
datasets: [digits]                  # built-in, or named in config/config.yaml
seeds: [0]

models:
  convnet: {{}}
partitions:                         # who has which samples
  iid:    {{scheme: iid, clients: 10}}
  dir0.3: {{scheme: dirichlet-per-class, clients: 10, alpha: 0.3}}
methods:                            # how is trained; CONTRIBUTING.md adds an algorithm of your own
  fedavg:  {{algorithm: fedavg, rounds: 15, local_epochs: 2, batch_size: 16, lr: 0.2}}
  fedprox: {{algorithm: fedprox, mu: 0.1, rounds: 15, local_epochs: 2, batch_size: 16, lr: 0.2}}

planes:                             # the loss around the runs' trajectories, one plane for each method
  paths: {{kind: trajectory, each: [method], grid: 21}}
connectivity:                       # and on the line between the final models
  ends: {{kind: path, from: {{partition: iid}}, to: {{partition: dir0.3}}, each: [method]}}

figures:
  paths:    {{kind: contour, plane: paths}}
  barriers: {{kind: interpolation, connectivity: ends}}
  accuracy: {{kind: curves, table: rounds, measure: test_accuracy}}
"""


_SETTINGS = """\
# Your settings. Those that are not here are as in {defaults}
study: {name:<16} # the study that plain `snakemake` makes: a file of config/studies/
scale: quick            # smoke | quick | small | paper, as the study file defines them
data_root: data         # where raw data sets lie, or are downloaded to
"""


def new(name: str) -> int:
    """Write `config/studies/<name>.yaml`; a study that is there stays as it is.

    Where neither this folder nor one above it has studies, it becomes a project.
    """
    start = Path.cwd()
    os.chdir(nearest(start, lambda folder: (folder / STUDIES).is_dir()) or start)
    path, workflow = STUDIES / f"{name}.yaml", clone()
    check_study_name(name, f"study '{name}'")
    if path.exists():
        raise FedscapeError(f"{path}: is there already; choose another name")
    written = [path]
    write_text(path, _TEMPLATE.format(name=name))
    if not CONFIG.exists():
        write_text(CONFIG, _SETTINGS.format(name=name, defaults=workflow / CONFIG))
        written.append(CONFIG)
    own = workflow == Path()
    snakemake = "snakemake" if own else f"snakemake -s {shlex.quote(str(workflow / SNAKEFILE))}"
    files = [os.path.relpath(file, start) for file in written]
    print(f"{' and '.join(files)} {'are' if len(files) > 1 else 'is'} written; next:")
    print(f"  {snakemake} -n {name}             # what it will do")
    print(f"  fedscape cost {name}            # how long that takes")
    print(f"  {snakemake} {name} --cores all")
    return 0
