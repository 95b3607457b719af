"""The scripts in ``examples`` run as a reader would run them, and draw what they say."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes import WCSAxes
from helpers import number_of_colours
from scipy.ndimage import gaussian_filter

import mpl_skyheat

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py"))

# As ``python SCRIPT FILE``, with warnings as errors; the exception is that of pyproject.toml.
RUN = """
import runpy, sys, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", ".*deprecated(,| -) use", DeprecationWarning)
script = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def is_picture(path):
    """Tell whether a file has a picture of sensible size with something on it."""
    picture = plt.imread(path)
    height, width = picture.shape[:2]
    return 500 <= height <= 4000 and 500 <= width <= 4000 and number_of_colours(picture) > 100


def test_there_are_examples():
    assert "field_survey.py" in SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_example_runs_and_draws(script, tmp_path):
    environment = os.environ | {"MPLBACKEND": "Agg", "MPLCONFIGDIR": mpl.get_cachedir()}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(FOLDER / script), "drawn.png"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert os.listdir(tmp_path) == ["drawn.png"]
    assert is_picture(tmp_path / "drawn.png")


# examples/field_survey.py


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Return the module of the example and its figure, as it was saved."""
    spec = importlib.util.spec_from_file_location("field_survey", FOLDER / "field_survey.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch, mpl.rc_context():
        plt.switch_backend("agg")
        patch.setattr(plt, "close", lambda *_: None)
        spec.loader.exec_module(module)
        module.main(tmp_path_factory.mktemp("survey") / "figure.png")
        figure = plt.gcf()
    yield module, figure
    plt.close(figure)


@pytest.fixture(scope="module")
def panels(survey):
    """Return the four panels: diagram, stars, density, smoothed density."""
    _, figure = survey
    found = [ax for ax in figure.axes if ax.get_title()]
    assert len(found) == 4
    return found


def test_the_survey_has_two_rows_of_two_panels(survey, panels):
    _, figure = survey
    x, y = (
        np.array([ax.get_position().intervalx for ax in panels]).mean(axis=1),
        np.array([ax.get_position().intervaly for ax in panels]).mean(axis=1),
    )
    assert ((x > 0.5) == [False, True, False, True]).all()
    assert ((y > 0.5) == [True, True, False, False]).all()
    assert [isinstance(ax, WCSAxes) for ax in panels] == [False, True, True, True]
    # Beside them, a colorbar for each of the two maps.
    labels = [ax.get_ylabel() for ax in figure.axes if ax not in panels]
    assert labels == [r"blue stars / $\mathrm{deg^{2}}$"] * 2


@pytest.mark.parametrize("panel", [1, 2, 3])
def test_the_survey_has_north_up_and_east_left(survey, panels, panel):
    module, _ = survey
    ax = panels[panel]
    offsets = [0, 90] * u.deg
    places = SkyCoord([module.CENTER, *module.CENTER.directional_offset_by(offsets, 1 * u.deg)])
    to_screen = ax.get_transform("icrs") - ax.transAxes
    center, north, east = to_screen.transform(np.transpose([places.ra.deg, places.dec.deg]))
    assert center == pytest.approx([0.5, 0.5], abs=0.01)
    assert north - center == pytest.approx([0, 0.2], abs=0.01)
    assert east - center == pytest.approx([-0.2, 0], abs=0.01)


def test_the_survey_cuts_in_colour_and_magnitude(survey, panels):
    module, _ = survey
    diagram = panels[0]
    assert diagram.yaxis_inverted()  # the bright are on top
    lines = {line.get_label().split(":")[0]: line for line in diagram.lines}
    everything, blue, very_blue = (lines[n].get_xydata() for n in ("all", "blue", "very blue"))
    color, magnitude = np.asarray(everything, float).T
    in_limits = (magnitude > module.BRIGHT) & (magnitude < module.FAINT)
    for sample, limit in ((blue, module.BLUE), (very_blue, module.VERY_BLUE)):
        assert len(sample) == np.count_nonzero(in_limits & (color < limit))
    assert 50 < len(very_blue) < len(blue) < np.count_nonzero(in_limits)
    texts = [text.get_text() for text in diagram.get_legend().get_texts()]
    assert texts == ["all", f"blue: {len(blue)}", f"very blue: {len(very_blue)}"]
    # The same stars are drawn on the sky.
    assert [len(c.get_offsets()) for c in panels[1].collections] == [len(blue), len(very_blue)]


def test_the_survey_counts_the_stars_it_selects(survey, panels):
    module, _ = survey
    sky_map = panels[2].images[0].sky_map
    stars = mpl_skyheat.datasets.bright_stars()
    keep = (stars["VT"] > module.BRIGHT) & (stars["VT"] < module.FAINT)
    keep = (keep & (stars["BT_VT"] < module.BLUE)).filled(fill_value=False)
    wcs = module.field_wcs()
    near = SkyCoord(stars["RA"], stars["DEC"]).separation(module.CENTER) < 10 * u.deg
    x, y = wcs.world_to_pixel_values(*(stars[n][keep & near] for n in ("RA", "DEC")))
    ny, nx = wcs.array_shape
    counts, _, _ = np.histogram2d(y, x, bins=(ny, nx), range=[(-0.5, ny - 0.5), (-0.5, nx - 0.5)])
    np.testing.assert_array_equal(sky_map.counts, counts)
    density = counts / sky_map.solid_angle.to_value(u.deg**2)
    np.testing.assert_allclose(sky_map.data, density, rtol=1e-12)
    assert sky_map.unit == u.deg**-2


def test_the_survey_is_smoothed_by_two_pixels(panels):
    counted, smoothed = (ax.images[0].sky_map for ax in panels[2:])
    np.testing.assert_array_equal(smoothed.counts, counted.counts)
    area = counted.solid_angle.to_value(u.deg**2)
    # Within four sigma of the edge, the stars beyond it are counted as well.
    inner = np.s_[8:-8, 8:-8]
    expected = gaussian_filter(counted.counts.astype(float), 2) / gaussian_filter(area, 2)
    np.testing.assert_allclose(smoothed.data[inner], expected[inner], rtol=1e-9, atol=1e-9)
    # A mirror at the edge would not do.
    assert not np.allclose(smoothed.data[:, 0], expected[:, 0], rtol=1e-2)
