"""The score of every exercise's checks, printed at the end of a run."""


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    scores = [
        lines
        for report in reports
        if report.when == "call"
        for name, lines in report.user_properties
        if name == "scores"
    ]
    if scores:
        terminalreporter.section("mutants killed by the checks, of those that are not equal")
        for lines in sorted(scores):
            terminalreporter.write_line("  ".join(lines))
