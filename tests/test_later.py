"""What a map finds when somebody asks for it: standard errors, numbers of rows, sums."""

import copy
import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import VarianceUncertainty
from helpers import make_wcs

from mpl_skyheat import Randoms, SkyMap, sky_map
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.counting.sums import Sums

RNG = np.random.default_rng(1)
POINTS = RNG.uniform(82, 84, 500), RNG.uniform(-6, -4, 500)


def made():
    return sky_map(*POINTS, wcs=make_wcs(), kernel="1 deg")


def test_what_is_found_later_is_found_once_by_threads_that_ask_together():
    found = []

    def find():
        time.sleep(0.05)
        found.append(1)
        return np.full((2, 3), 7.0)

    m = SkyMap(np.zeros((2, 3)), later={"n_eff": find, "error": find})
    with ThreadPoolExecutor(4) as pool:
        n_effs = list(pool.map(lambda _: m.n_eff, range(4)))
        errors = list(pool.map(lambda _: m.uncertainty, range(4)))
    assert all((n == 7).all() for n in n_effs)
    assert all((error.array == 7).all() for error in errors)
    assert len(found) == 2


def test_what_could_not_be_found_is_looked_for_again():
    errors = iter([MemoryError, None])

    def find():
        if (error := next(errors)) is not None:
            raise error
        return np.ones((2, 3))

    m = SkyMap(np.zeros((2, 3)), later={"error": find})
    with pytest.raises(MemoryError):
        _ = m.uncertainty
    assert (m.uncertainty.array == 1).all()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_map_of_its_own(copied):
    m = made()
    other = copied(m)
    other.n_eff = np.zeros(m.data.shape)
    assert other.uncertainty is not None
    assert np.nanmax(m.n_eff) > 0
    np.testing.assert_array_equal(m.uncertainty.array, other.uncertainty.array)


def test_a_copy_in_another_unit_or_by_another_name_finds_nothing_before_it_is_asked_for():
    def find():
        raise AssertionError("nobody has asked")

    later = dict.fromkeys(("error", "n_eff", "own_share", "kernel_sums"), find)
    m = SkyMap(np.ones((2, 3)), unit="deg-2", later=later)
    assert (m.to("arcmin-2").data < 1).all()
    assert (copy.copy(m).data == 1).all()


def test_errors_in_another_unit_are_those_of_the_map():
    m = made()
    asked = made()
    assert asked.uncertainty is not None
    for other in (m.to("arcmin-2"), asked.to("arcmin-2")):
        np.testing.assert_allclose(other.uncertainty.array * 3600, m.uncertainty.array)
        np.testing.assert_array_equal(other.n_eff, m.n_eff)


def test_variances_in_another_unit_become_standard_errors():
    m = SkyMap(np.ones((2, 2)), unit="m", uncertainty=VarianceUncertainty(np.full((2, 2), 4.0)))
    np.testing.assert_allclose(m.to("cm").error.data, 200)


def alive_after(**kwargs):
    """Whether all Sums are still there when only the map is."""
    found = []
    init = Sums.__init__

    def keep(self, *args, **more):
        init(self, *args, **more)
        found.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sums, "__init__", keep)
        m = sky_map(*POINTS, wcs=make_wcs(), **kwargs)
    gc.collect()
    assert m.data.size
    return [ref() is not None for ref in found]


def test_a_median_does_not_keep_the_values_of_all_rows():
    assert alive_after(values=np.ones(500), statistic="median") == [False]


def test_a_map_does_not_keep_its_random_points():
    randoms = Randoms(*POINTS, density=100 / u.deg**2)
    points = weakref.ref(randoms.catalogue)
    m = sky_map(*POINTS, wcs=make_wcs(), kernel="1 deg", coverage=randoms)
    del randoms
    gc.collect()
    assert points() is None
    assert m.own_share is not None
    assert np.isfinite(m.coverage).all()


def test_squares_of_weights_that_overflow_leave_no_number_of_rows():
    m = sky_map(*POINTS, wcs=make_wcs(), weights=np.full(500, 1e200), min_count=1)
    assert m.n_eff is None


def test_no_thread_is_left_when_all_is_found():
    points = RNG.uniform(0, 360, 1000), RNG.uniform(-80, 80, 1000)
    wcs = make_wcs("AIT", shape=(900, 700), center=(0, 0), cdelt=(-0.4, 0.4))
    shared = []

    def counting(self, tasks, work, share=Team.share):
        shared.append(self)
        share(self, tasks, work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Team, "share", counting)
        m = sky_map(*points, wcs=wcs, kernel="5 deg", geometry="sphere", threads=2)
        before = len(shared)
        assert m.uncertainty is not None
    assert len(shared) > before
    assert all(team._others is None for team in shared)
