"""What was measured, and how it stands beside the targets."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from cases import Case, Group
from peers import OURS

from rnnext._roofline import Machine


@dataclass(frozen=True)
class Result:
    """One case: seconds per call by library, and why others have none."""

    case: Case
    seconds: dict[str, float]
    missing: dict[str, str] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    unsure: int = 0  # bursts that waited no longer for CPUs near each other

    def ratios(self) -> dict[str, float]:
        """Time of each peer / time of rnnext."""
        if OURS not in self.seconds:
            return {}
        ours = self.seconds[OURS]
        return {k: v / ours for k, v in self.seconds.items() if k != OURS}

    @property
    def ratio(self) -> float | None:
        """Time of the fastest peer / time of rnnext."""
        return min(self.ratios().values(), default=None)

    def misses(self, machine: Machine) -> list[str]:
        """The targets of this case that it does not reach, in words."""
        case, found = self.case, []
        if OURS not in self.seconds:
            return [f"rnnext: {self.missing.get(OURS, 'not measured')}"]
        if self.ratio is not None and self.ratio < case.least_ratio:
            found.append(f"ratio {self.ratio:.2f} of {case.least_ratio:g}")
            if (ceiling := self.ceiling(machine)) < case.least_ratio:
                found[-1] += f", {ceiling:.2f} at the roofline"
        peak, roofline = self.of_peak(machine), self.of_roofline(machine)
        if case.least_peak is not None and peak < case.least_peak:
            found.append(f"{peak:.0%} of peak, not {case.least_peak:.0%}")
        if case.least_roofline is not None and roofline < case.least_roofline:
            found.append(f"{roofline:.0%} of roofline, not {case.least_roofline:.0%}")
        seconds = self.seconds[OURS]
        if case.most_seconds is not None and seconds > case.most_seconds:
            most = case.most_seconds * 1e6
            found.append(f"{seconds * 1e6:.1f} µs, not {most:g} µs")
        return found

    def of_peak(self, machine: Machine) -> float:
        """FLOP/s of rnnext / FLOP/s of the machine's peak."""
        call = self.case.call
        return call.flops / self.seconds[OURS] / machine.peak[call.dtype]

    def of_roofline(self, machine: Machine) -> float:
        """The least time on this machine / time of rnnext."""
        return machine.bound(self.case.call) / self.seconds[OURS]

    def ceiling(self, machine: Machine) -> float:
        """The ratio that this machine allows: that of a call at its roofline."""
        assert self.ratio is not None
        return self.ratio / self.of_roofline(machine)


@dataclass(frozen=True)
class Summary:
    """One row of the table of targets."""

    group: Group
    count: int
    least: float
    mean: float
    ceiling: float  # the mean of the ratios at the roofline
    below: int  # cases under their least ratio
    beyond: int  # of them, those that would be at the roofline, too

    @property
    def reached(self) -> bool:
        """Whether every case and the geometric mean are as they must be."""
        return not self.below and self.mean >= self.group.mean


def summarize(
    group: Group, results: Sequence[Result], machine: Machine
) -> Summary | None:
    """The group's row; None without a ratio."""
    rated = [
        (r.ratio, r.ceiling(machine), r.case.least_ratio)
        for r in results
        if r.ratio is not None
    ]
    if not rated:
        return None
    ratios, ceilings, _ = zip(*rated, strict=True)
    return Summary(
        group,
        len(rated),
        min(ratios),
        statistics.geometric_mean(ratios),
        statistics.geometric_mean(ceilings),
        sum(ratio < least for ratio, _, least in rated),
        sum(ratio < least and ceiling < least for ratio, ceiling, least in rated),
    )


def to_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """As JSON has it."""
    return [asdict(result) for result in results]


def from_json(entries: Sequence[dict[str, Any]]) -> list[Result]:
    """What `to_json` made."""
    results = []
    for entry in entries:
        case = dict(entry["case"])
        case["shape"] = tuple(case["shape"])
        results.append(Result(**{**entry, "case": Case(**case)}))
    return results
