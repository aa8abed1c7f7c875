"""How far a call of Snakemake has come: what is done, what runs, how long the rest may take."""

from collections import Counter
from dataclasses import dataclass, field

FEWEST = 3
"""Jobs that must have ended before anything is said of the time left."""


@dataclass
class Progress:
    """The jobs of one call, by their number (Snakemake's `jobid`); times in seconds of one clock."""

    begin: float
    totals: Counter = field(default_factory=Counter)  # stage -> jobs of this call
    running: dict[int, tuple[str, float]] = field(default_factory=dict)  # number -> stage, since when
    seconds: dict[str, list[float]] = field(default_factory=dict)  # stage -> what jobs that ended took

    def started(self, number: int, stage: str, now: float) -> None:
        """A job begins; one that is tried again begins anew."""
        self.running[number] = (stage, now)

    def ended(self, number: int, now: float) -> None:
        """A job has ended well."""
        if number in self.running:
            stage, since = self.running.pop(number)
            self.seconds.setdefault(stage, []).append(now - since)

    def failed(self, number: int) -> None:
        """A job has failed."""
        self.running.pop(number, None)

    @property
    def total(self) -> int:
        """How many jobs the call has."""
        return sum(self.totals.values())

    @property
    def done(self) -> int:
        """How many have ended well."""
        return sum(map(len, self.seconds.values()))

    def left(self, now: float) -> float | None:
        """Seconds that the rest may take; None while nothing is known.

        Each job that is left is taken to last as long as the jobs of its stage so far did on average, of a
        stage that none has ended of as all did, and as many to run at once as have until now.
        """
        if self.done < FEWEST:
            return None
        every = [seconds for times in self.seconds.values() for seconds in times]
        usual = sum(every) / len(every)
        means = {stage: sum(times) / len(times) for stage, times in self.seconds.items()}
        work = sum(
            (count - len(self.seconds.get(stage, ()))) * means.get(stage, usual)
            for stage, count in self.totals.items()
        )
        under_way = sum(min(now - since, means.get(stage, usual)) for stage, since in self.running.values())
        elapsed = now - self.begin
        at_once = max(1.0, (sum(every) + sum(now - since for _, since in self.running.values())) / elapsed)
        return max(0.0, work - under_way) / at_once

    def line(self, now: float) -> str:
        """`37 of 126 jobs, 5 min; train 2, surface 1; 12 min left`."""
        stages = Counter(stage for stage, _ in self.running.values())
        running = ", ".join(f"{stage} {count}" if count > 1 else stage for stage, count in stages.items())
        left = self.left(now)
        parts = [f"{self.done} of {self.total} jobs, {duration(now - self.begin)}", running]
        if left is not None and self.done < self.total:
            parts.append(f"about {duration(left)} left")
        return "; ".join(filter(None, parts))


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 05 min`, `2 days 4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"
