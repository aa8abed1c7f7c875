"""Snakemake's SLURM executor, which can also send jobs together (`executor: fedscape-slurm` in a profile).

**Packs**: jobs of a rule with the resource `pack` share one task, and so one GPU. **Arrays**: tasks that ask
for the same go as one job array. `docs/cluster.md` says what both are for. A job that shares nothing is sent
as by `executor: slurm`.
"""

from snakemake_executor_plugin_slurm import common_settings

from snakemake_executor_plugin_fedscape_slurm.executor import Executor, ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
