"""Random calls of `sky_map`, `sky_heatmap` and `subplot`; `make fuzz` makes more of them."""

import faulthandler
import os
import resource
import signal
import sys
import time

import pytest
from fuzz.judge import judge, warm_up

SEED = int(os.environ.get("FUZZ_SEED", "20"))
CALLS = range(int(os.environ.get("FUZZ_CALLS", "80")))
if "FUZZ_CALL" in os.environ:  # one call, to make it again
    CALLS = [int(os.environ["FUZZ_CALL"])]

# A call that takes longer (seconds of CPU) hangs.
LIMIT = 20


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    faulthandler.register(signal.SIGXCPU, file=sys.__stderr__, chain=True)
    warm_up()


@pytest.fixture(autouse=True)
def _limit():
    """Have the system end this process if a call hangs: no alarm would stop compiled code."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + LIMIT + 1, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


@pytest.mark.parametrize("number", CALLS)
def test_a_random_call_is_right_or_is_refused_by_name(number, record_property):
    record_property("refusal", judge(SEED, number))
