"""What to say of a target that is none: Snakemake's own error names no study."""

from collections.abc import Iterable
from difflib import get_close_matches

from fedscape.errors import printable
from fedscape.study.campaign import Campaign

OF_A_SEED = "_seed"
"""Between a study and the number, in the name of the target of one seed."""


def why_unknown(campaign: Campaign, target: str, rules: Iterable[str]) -> str:
    """One line about a name that no rule has: the study, scale, seed or rule that may have been meant."""
    study, between, seed = target.rpartition(OF_A_SEED)
    name = study if between and seed.isdecimal() else target
    if name not in campaign.studies:
        near = get_close_matches(name, [*campaign.studies, *rules], n=1)
        hint = f" did you mean '{near[0]}'?" if near else ""
        return printable(f"no study or rule '{name}';{hint} studies: {', '.join(campaign.studies)}")
    if name not in campaign.targets:
        scales = ", ".join(scale for owner, scale in campaign.every if owner == name)
        return f"study '{name}' has no scale '{campaign.scale}'; it has: {scales}"
    seeds = ", ".join(map(str, campaign.get(name).seeds))
    return f"study '{name}' has no seed {seed} at scale '{campaign.scale}'; it has: {seeds}"
