"""How far a call of Snakemake has come: what is done, what runs, how long the rest may take."""

from collections import Counter
from dataclasses import dataclass, field

from fedscape.command.progress import duration

FEWEST = 3
"""Jobs that must have ended before anything is said of the time left."""
NAMED = 4
"""Jobs of a stage of which the line says how far they are; of more it has the range."""


@dataclass
class CallProgress:
    """The jobs of one call, by their number (Snakemake's `jobid`); times in seconds of one clock."""

    begin: float
    totals: Counter = field(default_factory=Counter)  # stage -> jobs of this call
    running: dict[int, tuple[str, float]] = field(default_factory=dict)  # number -> stage, since when
    parts: dict[int, float] = field(default_factory=dict)  # number -> part that is done of a job that runs
    seconds: dict[str, list[float]] = field(default_factory=dict)  # stage -> what jobs that ended took

    def started(self, number: int, stage: str, now: float) -> None:
        """A job begins; one that is tried again begins anew."""
        self.running[number] = (stage, now)

    def ended(self, number: int, now: float) -> None:
        """A job has ended well."""
        if number in self.running:
            stage, since = self._no_longer(number)
            self.seconds.setdefault(stage, []).append(now - since)

    def failed(self, number: int) -> None:
        """A job has failed."""
        if number in self.running:
            self._no_longer(number)

    def _no_longer(self, number: int) -> tuple[str, float]:
        self.parts.pop(number, None)
        return self.running.pop(number)

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

        Each job that is left is taken to last as long as the jobs of its stage do on average, of those that
        have ended and of those that say how far they are; of a stage without any, as all that have ended. As
        many are taken to run at once as have until now.
        """
        if self.done < FEWEST:
            return None
        every = [seconds for times in self.seconds.values() for seconds in times]
        usual = sum(every) / len(every)
        lengths = {
            number: (now - self.running[number][1]) / part for number, part in self.parts.items() if part
        }
        known = {stage: list(times) for stage, times in self.seconds.items()}
        for number, length in lengths.items():
            known.setdefault(self.running[number][0], []).append(length)
        means = {stage: sum(times) / len(times) for stage, times in known.items()}
        work = sum(
            (count - len(self.seconds.get(stage, ()))) * means.get(stage, usual)
            for stage, count in self.totals.items()
        )
        for number, (stage, since) in self.running.items():
            mean, elapsed = means.get(stage, usual), now - since
            work -= mean - (lengths[number] - elapsed) if number in lengths else min(elapsed, mean)
        at_once = max(
            1.0, (sum(every) + sum(now - since for _, since in self.running.values())) / (now - self.begin)
        )
        return max(0.0, work) / at_once

    def line(self, now: float) -> str:
        """`37 of 126 jobs, 5 min; train 2 (34 %, 70 %), surface; about 12 min left`."""
        left = self.left(now)
        stages = dict.fromkeys(stage for stage, _ in self.running.values())
        parts = [
            f"{self.done} of {self.total} jobs, {duration(now - self.begin)}",
            ", ".join(map(self._stage, stages)),
        ]
        if left is not None and self.done < self.total:
            parts.append(f"about {duration(left)} left")
        return "; ".join(filter(None, parts))

    def _stage(self, stage: str) -> str:
        """The running jobs of a stage: `train 2 (34 %, 70 %)`."""
        numbers = [number for number, (name, _) in self.running.items() if name == stage]
        words = f"{stage} {len(numbers)}" if len(numbers) > 1 else stage
        percents = sorted(int(100 * self.parts[number]) for number in numbers if number in self.parts)
        if not percents:
            return words
        if len(percents) > NAMED:
            return f"{words} ({percents[0]} to {percents[-1]} %)"
        return f"{words} ({', '.join(f'{percent} %' for percent in percents)})"
