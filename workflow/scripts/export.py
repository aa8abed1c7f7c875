"""Write a plane's surface and trajectories for ParaView."""

from pathlib import Path

from fedscape.export.paraview import export_plane
from fedscape.jobs.job import job

with job(snakemake):
    export_plane(
        surface=Path(snakemake.input.surface),
        markers=Path(snakemake.input.markers),
        out_surface=Path(snakemake.output.surface),
        out_trajectories=Path(snakemake.output.trajectories),
    )
