"""A plugin that holds all logs of a run to what is promised of them: no customer, no query, no key.

Whatever a test starts writes to the standard error that pytest captures; PostgreSQL has a log of its own. Each line is
looked at once, and the run fails if one holds what it may not, although every test passed. Nothing is left out: tests
that log every statement, or at DEBUG, or that read the log themselves, are held to the same.

Where pytest-xdist runs the tests in several processes, each looks at what its own tests logged, since it knows their
customers, and the first process sums up.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

_NEVER: Final = {
    "a customer's name or slug": (
        r"red(?:%\w\w|[\W_]){0,3}box|customer(?:%20|[ +-])\d|zaphod"
        r"|(?:someone|hidden|quiet)(?:%20|[ +-])(?:else|harbour|quay)"
    ),
    "a parameter of an order": r"\b(?:customer_(?:id|name|slug)|(?:origin|destination)_country_id|weight|created_at)=",
    "a query": r"[/\w]\?[\w%]+=(?<!\?host=)",  # but of a database's address, postgresql://…?host=…
    "a key": r"\btna_\d+_[0-9a-f]",
}
_PATTERN: Final = re.compile(
    "|".join(f"(?P<n{place}>{pattern})" for place, pattern in enumerate(_NEVER.values())), re.IGNORECASE
)
_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_SHOWN: Final = 20


class Logs:
    """What was heard of a run."""

    def __init__(self) -> None:
        self.lines: Counter[str] = Counter()
        """How many lines each source had."""
        self.offences: list[str] = []
        """Those that hold what they may not, with source and reason."""
        self._customers: set[str] = set()
        self._files: dict[Path, tuple[str, int]] = {}

    def know(self, customer_id: str) -> None:
        """Take note of a customer that a test uses."""
        self._customers.add(_plain(customer_id))

    def take(self, source: str, text: str, *, where: str = "") -> None:
        """Look at what was logged; ``where`` is the test that it was logged in, as far as that is known."""
        for line in text.splitlines():
            self.lines[source] += 1
            reason = self.reason(line)
            if reason is not None:
                self.offences.append(f"{source} {where}: {reason}: {line[:400]}")

    def reason(self, line: str) -> str | None:
        """What a line holds that no line may."""
        line = _unescaped(line)
        if any(_plain(each) in self._customers for each in _ID.findall(line)):
            return "a customer's id"
        found = _PATTERN.search(line)
        return None if found is None else list(_NEVER)[int(str(found.lastgroup)[1:])]

    def follow(self, source: str, path: Path) -> None:
        """Look at a file too, which may not be there yet, each time that ``read`` is called."""
        self._files.setdefault(path, (source, 0))

    def add(self, lines: dict[str, int], offences: list[str]) -> None:
        """Count what another process of this run heard."""
        self.lines.update(lines)
        self.offences += offences

    def read(self) -> None:
        """Look at what the files have that was not looked at yet."""
        for path, (source, begin) in self._files.items():
            if path.exists():
                with path.open("rb") as file:
                    file.seek(begin)
                    fresh = file.read()
                whole = fresh[: fresh.rfind(b"\n") + 1]
                self._files[path] = source, begin + len(whole)
                self.take(source, whole.decode(errors="replace"))


LOGS: Final = Logs()
"""Those of this run."""


def _plain(identity: str) -> str:
    return identity.replace("-", "").lower()


def _unescaped(line: str) -> str:
    """A line of JSON with its texts as they were before they were escaped; any other line as it is."""
    if not line.startswith("{"):
        return line
    try:
        return f"{line} {_texts(json.loads(line))}"
    except ValueError:
        return line


def _texts(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_texts(each)}" for name, each in value.items())
    return " ".join(map(_texts, value)) if isinstance(value, list) else str(value)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look at what was captured while a fixture was made, a test ran, or a fixture ended."""
    if hasattr(report, "node"):
        return  # of another process, which has looked
    for name, text in report.sections:
        if name in {f"Captured stdout {report.when}", f"Captured stderr {report.when}"}:
            LOGS.take("the services", text, where=f"in {report.nodeid}")


@pytest.fixture
def heard(capfd: pytest.CaptureFixture[str]) -> "Heard":
    """For a test that reads the logs itself: what it reads is looked at like all else."""
    return Heard(capfd)


class Heard:
    """The standard output and error of whatever a test starts."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def read(self) -> str:
        """What was written since the last time."""
        text = "".join(self._captured.readouterr())
        LOGS.take("the services", text, where="in a test that reads the log")
        return text


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process heard; one that died has said nothing, and its tests failed."""
    if heard := getattr(node, "workeroutput", {}).get("logs"):
        LOGS.add(*heard)


# Not before pytest-xdist has ended its processes, which it does in this hook.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run whose tests passed, if a line holds what it may not."""
    LOGS.read()
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["logs"] = dict(LOGS.lines), LOGS.offences
        return
    if LOGS.offences and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was looked at, and what was found."""
    count = ", ".join(f"{number} of {source}" for source, number in sorted(LOGS.lines.items())) or "none"
    terminalreporter.write_line(f"Lines of logs: {count}; {len(LOGS.offences)} hold a customer, a query or a key.")
    for offence in LOGS.offences[:_SHOWN]:
        terminalreporter.write_line(offence, red=True)
