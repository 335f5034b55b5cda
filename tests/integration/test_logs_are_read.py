"""A run whose tests pass fails all the same if any log of it holds a customer, a query or a key."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.logs import Heard, Logs
from tests.plugin import ROOT, Database
from tests.support.clients.orders import GOOD, PATH, query
from tests.support.processes.service import ServiceFactory

ID = GOOD["customer_id"]
KEY = f"tna_12_{'5e' * 16}"

LEAKS = f'''
import subprocess
import sys

import psycopg
import pytest

from tests.logs import LOGS
from tests.plugin import CLUSTER

def say(line):
    subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1], file=sys.stderr)", line], check=True)

@pytest.fixture(scope="module", autouse=True)
def service():
    say("while it starts: customer_name=x")
    yield
    say("while it ends: RedBox")

def test_what_a_service_says():
    LOGS.know("{ID}")
    say("fine: 019376f3-3c1e-7cc0-b5a1-6d0f7c0b1f52")
    say("while it runs: {ID}")

def test_that_reads_the_log_itself(heard):
    say("while a test reads: {KEY}")
    assert "{KEY}" in heard.read()

def test_that_reads_only_a_part(heard):
    heard.read()
    say("after a test has read: GET /x?a=b")

def test_a_log_that_is_a_file(tmp_path):
    LOGS.follow("sealers", tmp_path / "log")
    (tmp_path / "log").write_text("in a file: customer-7\\n")

def test_what_postgresql_says():
    with psycopg.connect(CLUSTER.create().owner_url) as session:
        with pytest.raises(psycopg.errors.UndefinedTable):
            session.execute("SELECT 'in a statement: weight=1' FROM nowhere")
'''


def run(folder: Path, tests: str) -> tuple[int, str]:
    """Exit code and output of a run of its own, with our plugins."""
    file = folder / "test_something.py"
    file.write_text(tests)
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(file),
        "-q",
        f"--rootdir={ROOT}",
        f"--config-file={ROOT}/pyproject.toml",
    ]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=280)
    return ended.returncode, ended.stdout + ended.stderr


def test_whatever_says_it_and_whoever_reads_it(tmp_path: Path) -> None:
    code, output = run(tmp_path, LEAKS)
    assert "5 passed" in output
    assert code == 1, output
    for leak in (
        r"the services in .*test_what_a_service_says: a parameter of an order: while it starts: customer_name=x",
        rf"the services in .*test_what_a_service_says: a customer's id: while it runs: {ID}",
        rf"the services in a test that reads the log: a key: while a test reads: {KEY}",
        r"the services in .*test_that_reads_only_a_part: a query: after a test has read: GET /x\?a=b",
        r"the services in .*test_what_postgresql_says: a customer's name or slug: while it ends: RedBox",
        r"sealers : a customer's name or slug: in a file: customer-7",
        r"PostgreSQL : a parameter of an order: .*in a statement: weight=1",
    ):
        assert re.search(leak, output), (leak, output)
    assert "; 7 hold a customer, a query or a key." in output


def test_a_run_in_which_nothing_leaks_passes(tmp_path: Path) -> None:
    code, output = run(tmp_path, "def test_nothing(): pass")
    assert code == 0, output
    assert "Lines of logs: none; 0 hold" in output


def test_a_service_may_say_all_that_it_does_say(database: Database, service: ServiceFactory, heard: Heard) -> None:
    running = service(database, WEB_CONCURRENCY="1", LOG_LEVEL="DEBUG")
    for path in (
        f"{PATH}?{query().decode()}",
        f"/next-tracking-number?customer_id={ID}",
        "/nothing?customer_name=RedBox",
        *(f"/v1/customers/{ID}/stats", f"/v1/customers/{ID}/stat", f"/{ID}", "/v1/customers/RedBox/stats"),
    ):
        httpx.get(running.base_url + path, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    running.stop()
    logs = Logs()
    logs.know(ID)
    logs.take("the service", heard.read())
    assert logs.offences == []
    assert logs.lines["the service"] >= 10, "there is something to read"


BAD = [
    *("RedBox", "redbox-logistics", "red%20box", "Red\0Box", "Red%0ABox", "Customer 12", "customer-0", "Customer+7"),
    *(
        "zaphod-unmistakable",
        "Someone+else",
        "customer_id=",
        "&origin_country_id=MY",
        "weight=1.234",
        "/x?a=b",
        "x?%61=",
    ),
    *(KEY, f"Bearer {KEY}", ID, ID.upper(), ID.replace("-", ""), f"x_{ID}", f"_{ID.replace('-', '')}"),
]
GOOD_LINES = [
    *("Not Found: /v1/customers/*/stats", "019376f3-3c1e-7cc0-b5a1-6d0f7c0b1f52", "customer_tag", "weight_band=4"),
    *("postgresql://postgres@/test_1?host=%2Ftmp&port=5432", "GET /next-tracking-number HTTP/1.1", "customers"),
    *(
        "order_created_at=now()",
        "Is that so?",
        "tna_12_*",
        f"0{ID}",
        "a customer's id is a UUID: hex digits as 8-4-4-4-12",
    ),
]


@pytest.mark.parametrize("line", BAD)
def test_what_no_line_may_hold_is_recognised(line: str) -> None:
    logs = Logs()
    logs.know(ID)
    assert logs.reason(f"2026-11-23 WARNING {line} and more") is not None


@pytest.mark.parametrize("line", BAD)
@pytest.mark.parametrize("place", ["event", "exception"])
def test_json_hides_nothing(line: str, place: str) -> None:
    logs = Logs()
    logs.know(ID)
    written = {
        "timestamp": "2026-11-23T00:00:00Z",
        "level": "WARNING",
        "event": "said",
        place: f"Oh:\n{line}\nand more",
    }
    assert logs.reason(json.dumps(written)) is not None
    assert logs.reason(json.dumps({"event": [{"deep": line}]})) is not None


def test_a_customer_s_name_in_letters_that_json_escapes_is_recognised() -> None:
    assert Logs().reason(json.dumps({"event": "Red\u00a0Box"})) is not None
    assert Logs().reason(json.dumps({"event": "Red\nBox"})) is not None


@pytest.mark.parametrize("line", GOOD_LINES)
def test_what_a_line_may_hold_is_left_alone(line: str) -> None:
    logs = Logs()
    logs.know(ID)
    assert logs.reason(f"2026-11-23 WARNING {line} and more") is None
    assert logs.reason(json.dumps({"level": "WARNING", "event": f"{line} and more"})) is None
