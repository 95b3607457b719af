"""A live map in a real browser: rectangle zoom, pan, home, readout and resize.

`make browser` installs what it needs: Debian's chromium, and playwright from PyPI.
"""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make browser")
pytest.importorskip("tornado", reason="WebAgg needs tornado: make browser")

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs {CHROMIUM}: make browser"),
]

# Seconds that a page, and a drawing, may take.
PATIENCE = 60


def until(find, what):
    """Wait until a function returns something true; return it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {what} after {PATIENCE} s")


class App:
    """A figure in the browser, and what it has read."""

    def __init__(self, page, output):
        self.page, self.output = page, output
        self.canvas = page.locator("canvas").last.bounding_box()

    @property
    def reads(self):
        """View and shape of each reading."""
        lines = self.output.read_text(encoding="utf-8").splitlines()
        return [tuple(map(float, line.split()[1:])) for line in lines if line.startswith("read ")]

    def settled(self, more_than=0):
        """The readings, once there are more than a number and no more come."""
        until(lambda: len(self.reads) > more_than, "reading")
        number = 0
        while number != len(self.reads):
            number = len(self.reads)
            self.page.wait_for_timeout(700)
        return self.reads

    def at(self, across, up):
        """The place on the page of a fraction of the figure."""
        box = self.canvas
        return box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"]

    def press(self, name):
        self.page.locator(f"button:has(img[alt^='{name}'])").click()

    def drag(self, start, stop):
        mouse = self.page.mouse
        mouse.move(*self.at(*start))
        mouse.down()
        mouse.move(*self.at(*stop), steps=4)
        mouse.up()

    def readout(self, place):
        """The value and unit under the mouse."""
        self.page.mouse.move(*self.at(*place))
        self.page.wait_for_timeout(600)  # for the message of the place before to go
        message = self.page.locator(".mpl-message")

        def find():
            return re.search(r"([-\d.e+]+) (1 / \w+)\s*$", message.inner_text())

        value, unit = until(find, "readout").groups()
        return float(value), unit


@pytest.fixture
def browser():
    with playwright.sync_playwright() as found:
        browser = found.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path):
    """Return a function that starts a program in its own process, given its arguments."""
    started = []

    def start(*arguments, environment=None):
        output = tmp_path / "output"
        with output.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments], stdout=file, stderr=subprocess.STDOUT,
                cwd=tmp_path, env=os.environ | (environment or {}),
            )  # fmt: skip
        started.append(process)
        until(lambda: "visit http" in output.read_text(encoding="utf-8"), "server")
        return output

    yield start
    for process in started:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def opened(browser, port):
    """A page with figure 1, once its canvas is there."""
    page = browser.new_page(viewport={"width": 900, "height": 760}, device_scale_factor=1)
    page.goto(f"http://127.0.0.1:{port}/1")
    page.locator("canvas").last.wait_for()
    page.wait_for_timeout(1000)
    return page


def test_zoom_pan_home_readout_and_resize(browser, served, tmp_path):
    port = free_port()
    output = served(str(Path(__file__).with_name("app.py")), str(port))
    app = App(opened(browser, port), output)
    first = app.settled()[-1]
    assert first[:4] == pytest.approx((-0.5, 199.5, -0.5, 199.5), abs=1.5)
    app.page.screenshot(path=tmp_path / "1 whole.png")
    whole, unit = app.readout((0.46, 0.5))
    assert unit == "1 / deg2"
    assert whole > 100

    number = len(app.reads)
    app.press("Zoom")
    app.drag((0.40, 0.45), (0.52, 0.594))  # 72 px a side
    reads = app.settled(number)
    assert len(reads) == number + 1  # once: not for each move of the mouse
    zoomed = reads[-1]
    assert zoomed[1] - zoomed[0] < 0.3 * (first[1] - first[0])
    assert zoomed[4:] == pytest.approx(first[4:], rel=0.05)
    app.page.screenshot(path=tmp_path / "2 zoomed.png")
    # The place in the middle of the zoomed view was there before, with the same value.
    middle, unit = app.readout((0.46, 0.51))
    assert unit == "1 / deg2"
    assert middle == pytest.approx(whole, rel=0.1)

    number = len(app.reads)
    app.press("Left button pans")
    app.drag((0.5, 0.5), (0.6, 0.5))
    panned = app.settled(number)[-1]
    assert panned[1] - panned[0] == pytest.approx(zoomed[1] - zoomed[0], rel=0.01)
    assert panned[0] < zoomed[0] - 0.05 * (zoomed[1] - zoomed[0])

    app.press("Reset")
    app.page.wait_for_timeout(1500)
    again, _ = app.readout((0.46, 0.5))
    assert again == pytest.approx(whole, rel=1e-3)
    assert app.reads[-1] in (panned, first)  # what was read is kept

    number = len(app.reads)
    app.page.evaluate(
        "() => { const div = document.querySelector('canvas').parentElement;"
        " div.style.width = '720px'; div.style.height = '600px'; }"
    )
    resized = app.settled(number)[-1]
    assert resized[4] > 1.1 * first[4]
    app.page.screenshot(path=tmp_path / "3 resized.png")


def test_the_command_shows_a_map_in_a_browser(browser, served, tmp_path):
    port = free_port()
    (tmp_path / "matplotlibrc").write_text(
        f"webagg.port: {port}\nwebagg.open_in_browser: False\n", encoding="utf-8"
    )
    served("-m", "mpl_skyheat", "--show", "--center", "3h47m +24d07m", "--radius", "3deg",
           "--kernel", "10arcmin", environment={"MPLBACKEND": "WebAgg"})  # fmt: skip
    app = App(opened(browser, port), tmp_path / "output")
    value, unit = app.readout((0.45, 0.5))
    assert unit == "1 / deg2"
    assert value > 5
    app.page.screenshot(path=tmp_path / "command.png")
