"""What the benchmarks share: jobs that take turns, ratios of their medians, tables in the docs."""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Where each script's table is.
TABLES = {"recipe.py": ROOT / "README.md", "large.py": ROOT / "docs" / "comparison.md"}
TABLES["statistics_of_maps.py"] = ROOT / "docs" / "numbers.md"
TABLES["live.py"] = ROOT / "docs" / "live.md"
TABLES["past_memory.py"] = ROOT / "benchmarks" / "README.md"
END = "<!-- end -->"

# Code of a new process, whose peak (MiB, of Linux) is that of all it has loaded.
PEAK_MEMORY = """
def peak_memory():
    from pathlib import Path
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
"""

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def parser_of(description):
    """Return a parser with the options that all scripts have."""
    parser = argparse.ArgumentParser(description=description)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write the table to where it is shown")
    mode.add_argument(
        "--quick",
        action="store_true",
        help="few points and one turn: for the answers, not the times",
    )
    return parser


def environment():
    """Return the environment of a new process.

    It imports the package that this process does, not one in the folder that it is started in,
    and modules are compiled to bytecode once.
    """
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONSAFEPATH": "1"}


def output_of(code):
    """Return the words that code prints in a new process."""
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env=environment(), text=True).split()


def output_of_file(name):
    """Return the words that a script prints in a new process."""
    command = [sys.executable, "-W", "ignore", name]
    return subprocess.check_output(command, env=environment(), text=True).split()


def seconds(job):
    """Return the time (s) of a job, and its answer."""
    gc.collect()  # what other jobs have left is not for this one to clear away
    start = time.perf_counter()
    answer = job()
    return time.perf_counter() - start, answer


def median(job, rounds):
    """Return the median time (s) of a job, and its last answer."""
    times = []
    for _ in range(rounds):
        spent, answer = seconds(job)
        times.append(spent)
    return statistics.median(times), answer


def turns(ours, theirs, rounds):
    """Return the median times (s) and the last answers of two jobs that take turns, both warm.

    A single turn is for the answers alone, and not warm.
    """
    if rounds > 1:
        ours()
        theirs()
    gc.collect()
    gc.freeze()  # what is imported need not be looked through before every turn
    mine, others = [], []
    for _ in range(rounds):
        spent, our_answer = seconds(ours)
        mine.append(spent)
        spent, their_answer = seconds(theirs)
        others.append(spent)
    return statistics.median(mine), statistics.median(others), our_answer, their_answer


def power(count):
    """Return a number of one digit or two with a power of ten: 10⁷, or 2 × 10⁵."""
    factor, exponent = f"{count:.1e}".split("e+")
    tens = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return tens if factor == "1.0" else f"{float(factor):g} × {tens}"


def times_as_fast(ratio):
    """Return a ratio of times as the tables show it."""
    return f"{ratio:.0f} ×" if ratio >= 9.5 else f"{ratio:.1f} ×"


def report(name, peer, ratio, more=""):
    """Print a row, and return it for the table."""
    print(f"{name}: {times_as_fast(ratio)} {peer} {more}", flush=True)
    return f"| {name} | {peer} | {times_as_fast(ratio)} |"


def write_table(script, text):
    """Put a script's text between its marker in the page that shows it and the next end."""
    page = TABLES[script]
    begin = f"<!-- benchmarks/{script} -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"{page.name} has no {begin} with {END} after it")
    page.write_text(f"{before}{begin}\n{text}\n{END}{after}", encoding="utf-8")
