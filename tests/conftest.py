"""Fixtures that several test files share."""

import os

import hypothesis
import numpy as np
import pytest
from astropy.utils.iers import iers
from helpers import make_wcs
from matplotlib.mathtext import MathTextParser

# As in astropy: the same examples in every run, so that what has nothing to do with a change does
# not fail on it. HYPOTHESIS_PROFILE=fuzzing looks for others.
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("fuzzing", deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """Have one thread of BLAS and OpenMP in each worker, which has a core.

    Before workers start: plugins of other packages import numpy, which reads these variables,
    before a worker comes here.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


@pytest.fixture(autouse=True, scope="session")
def no_downloads():
    """Have astropy transform to frames of the Earth by the tables that it has."""
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        yield


@pytest.fixture(autouse=True, scope="session")
def two_threads():
    """Have maps made in two threads all the same: what is wrong with these is to be seen."""
    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("OMP_NUM_THREADS") == "1":
            patch.setenv("OMP_NUM_THREADS", "2")
        yield


@pytest.fixture(autouse=True, scope="session")
def remembered_formulas():
    """Have matplotlib remember how formulas are drawn, as WCSAxes makes one of every tick label.

    It does so by itself, but for each figure anew, and only for 50: to parse the others again took
    a third of the time of what is drawn.
    """
    parse, known = getattr(MathTextParser, "_parse_cached", None), {}

    def remember(self, *args):
        key = self._output_type, *args
        if key not in known:
            known[key] = parse(self, *args)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        if parse is not None:
            patch.setattr(MathTextParser, "_parse_cached", remember)
        yield


@pytest.fixture
def field():
    """A TAN field of 30 x 20 pixels of 0.1 deg."""
    return make_wcs()


@pytest.fixture
def stars():
    """20,000 stars around the field, denser to its north-east."""
    rng = np.random.default_rng(20261121)
    ra, dec = 83 + rng.uniform(-3, 3, 20_000), -5 + rng.uniform(-2.5, 2.5, 20_000)
    keep = rng.uniform(0, 1, ra.size) < 0.2 + 0.13 * (ra - 80) * (dec + 8) / 5
    return ra[keep], dec[keep]
