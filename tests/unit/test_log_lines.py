"""How a log line looks, in JSON and as text, and that neither tells more than the other."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from logging.config import dictConfig
from typing import Any

import pytest
from structlog.contextvars import bind_contextvars, clear_contextvars

from core import logs
from core.log_lines import json_lines, text_lines
from tests.support.clients.orders import GOOD

ID = GOOD["customer_id"]
REQUEST = "019376f3-3c1e-7cc0-b5a1-6d0f7c0b1f52"


@pytest.fixture(autouse=True)
def _no_context() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


def record(
    name: str, message: str, *arguments: object, error: Exception | None = None, **extra: Any
) -> logging.LogRecord:
    """What a call of a logger makes, after the filter."""
    made = logging.getLogger(name).makeRecord(
        name, logging.ERROR, __file__, 1, message, arguments, _raised(error), extra=extra or None
    )
    assert logs.PathsOnly().filter(made)
    return made


def _raised(error: Exception | None) -> Any:
    """What a logger is given of an error, with its traceback."""
    if error is None:
        return None
    with contextlib.suppress(type(error)):
        raise error
    return type(error), error, error.__traceback__


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = json_lines().format(made)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_of_json_has_time_level_logger_and_message() -> None:
    line = as_json(record("issuance.writer", "No number is issued: %s", "why"))
    assert list(line) == ["timestamp", "level", "logger", "event"]
    assert line["timestamp"].endswith("Z")
    assert len(line["timestamp"]) == len("2026-11-28T02:37:43.970477Z")
    assert (line["level"], line["logger"], line["event"]) == ("ERROR", "issuance.writer", "No number is issued: why")


def test_text_has_the_same() -> None:
    line = text_lines().format(record("issuance.writer", "No number is issued: %s", "why"))
    assert line[26:] == "Z ERROR issuance.writer: No number is issued: why"


def test_a_line_says_which_request_or_task_it_is_about() -> None:
    bind_contextvars(task="reports.tasks.roll_up", task_id="1")
    made = record("x", "said")
    assert as_json(made)["task"] == "reports.tasks.roll_up"
    assert text_lines().format(made).endswith(" ERROR x: said [task=reports.tasks.roll_up] [task_id=1]")


def test_what_the_caller_of_the_logger_gives_goes_before_the_context() -> None:
    bind_contextvars(request_id="another")
    assert as_json(record("x", "said", request_id=REQUEST))["request_id"] == REQUEST


def test_what_a_message_holds_cannot_forge_a_field_or_a_line() -> None:
    line = as_json(record("x", "%s", '", "level": "INFO"\n{"forged": 1}'))
    assert line["level"] == "ERROR"
    assert line["event"] == '", "level": "INFO"\n{"forged": 1}'


LEAKS = (
    f"Not Found: /v1/customers/{ID}/stats",
    f"/next-tracking-number?customer_id={ID}",
    "GET /x?customer_name=RedBox HTTP/1.1",
    f"no such customer {ID.replace('-', '')}",
)


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("lines", [json_lines, text_lines])
def test_a_traceback_holds_no_customer_and_no_query(leak: str, lines: Callable[[], logging.Formatter]) -> None:
    text = lines().format(record("django.request", "Internal Server Error: %s", "/x", error=ValueError(leak)))
    assert "Traceback (most recent call last)" in text
    assert "ValueError" in text
    for secret in (ID, ID.replace("-", ""), "RedBox", "customer_name"):
        assert secret not in text


@pytest.mark.parametrize("lines", [json_lines, text_lines])
def test_a_chain_of_errors_is_cut_in_all_its_lines(lines: Callable[[], logging.Formatter]) -> None:
    error = ValueError("outer")
    error.__cause__ = KeyError(f"/a?customer_id={ID}\n/v1/customers/{ID}")
    text = lines().format(record("x", "failed", error=error))
    assert "direct cause" in text
    assert ID not in text
    assert "customer_id" not in text


def test_a_path_is_cut_before_it_is_written() -> None:
    made = record("django.request", "%s: %s", "Not Found", f"/v1/customers/{ID}/stats")
    assert as_json(made)["event"] == "Not Found: /v1/customers/*/stats"


@pytest.mark.parametrize("form", ["json", "text"])
def test_every_logger_writes_one_form(form: str) -> None:
    """As gunicorn and Django set it up; put back afterwards, since pytest's own handlers are there, too."""
    config = logs.config(form, "INFO")
    kept = logging.root.handlers[:], logging.root.level
    try:
        dictConfig(config)
        handlers = {
            handler
            for name in ("", "gunicorn.error", "django.server", "celery")
            for handler in logging.getLogger(name).handlers
        }
        assert len(handlers) == 1
        assert next(iter(handlers)).formatter is not None
        line = next(iter(handlers)).format(record("gunicorn.error", "Starting"))
        assert line.startswith("{") == (form == "json")
    finally:
        logging.root.handlers, logging.root.level = kept
