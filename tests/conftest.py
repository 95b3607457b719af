"""Fixtures that several test files share."""

import os

import hypothesis
import numpy as np
import pytest
from helpers import make_wcs

# As in astropy: the same examples in every run, so that what has nothing to do with a change does
# not fail on it. HYPOTHESIS_PROFILE=fuzzing looks for others.
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("fuzzing", deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


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
