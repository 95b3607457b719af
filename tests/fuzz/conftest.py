"""Tells how many of the random calls were refused."""


def pytest_terminal_summary(terminalreporter):
    passed = terminalreporter.getreports("passed")
    refusals = [value for r in passed for name, value in r.user_properties if name == "refusal"]
    if refusals:
        refused = len([text for text in refusals if text])
        terminalreporter.write_line(f"{len(refusals)} random calls, {refused} refused by name")
