"""The statistics that a map may show: what each sums, and where it has a meaning."""

from __future__ import annotations

from typing import Literal, NamedTuple

StatisticName = Literal[
    "density",
    "count",
    "sum",
    "mean",
    "std",
    "median",
    "min",
    "max",
    "excess",
    "significance",
    "lima",
]


class Statistic(NamedTuple):
    """What a statistic sums, and where it has a meaning.

    ``sums`` are the channels that it needs, and ``weighted`` those of rows with weights. Its unit
    is that of the weights per ``"area"`` or not (``"weights"``), that of ``"weighted values"``, or
    that of the ``"values"``; ``"none"`` is a pure number.
    """

    unit: str
    sums: tuple[str, ...]
    weighted: tuple[str, ...] = ()
    is_smoothable: bool = True
    # Whether it has a meaning with a difference of kernels: a mean, which divides by S1, has none.
    is_linear: bool = True
    # Whether it is about a background, and so of either sign.
    needs_background: bool = False

    @property
    def needs_values(self) -> bool:
        return self.unit in ("weighted values", "values")


STATISTICS: dict[StatisticName, Statistic] = {
    "density": Statistic("area", ("n",), ("w", "w2")),
    "count": Statistic("weights", ("n",), ("w", "w2")),
    "sum": Statistic("weighted values", ("w", "wv2"), ("w2v2", "wv")),
    "mean": Statistic("values", ("w", "wv2"), ("seen", "wv", "w2v2"), is_linear=False),
    "std": Statistic("values", ("w", "wv2"), ("seen", "w2", "wv2"), is_linear=False),
    "median": Statistic("values", ("n", "median"), is_smoothable=False),
    "min": Statistic("values", ("n", "min"), is_smoothable=False),
    "max": Statistic("values", ("n", "max"), is_smoothable=False),
    "excess": Statistic("area", ("n",), ("w", "w2"), needs_background=True),
    "significance": Statistic("none", ("n",), ("w", "w2"), is_linear=False, needs_background=True),
    "lima": Statistic("none", ("n",), ("w", "w2"), is_linear=False, needs_background=True),
}


# Statistics of the values alone, whatever the weights.
EXTREMES = tuple(name for name, found in STATISTICS.items() if not found.is_smoothable)


def channels_of(
    statistic: StatisticName, *, has_weights: bool, counts_rows: bool
) -> tuple[str, ...]:
    """Names of the channels of a statistic; ``counts_rows`` if the number of rows is asked for."""
    found = STATISTICS[statistic]
    names = found.weighted or found.sums if has_weights else found.sums
    return (*names, "n") if counts_rows and "n" not in names else names
