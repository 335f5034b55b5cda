"""The contract: schema/openapi.yaml is valid, served, and what its examples say works."""

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import yaml
from openapi_spec_validator import validate

from core import problems
from tests.plugin import ROOT

COMMITTED = ROOT / "schema" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())
    return loaded


def test_it_is_valid_openapi_to_a_reader_that_is_not_ours(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_served_schema_is_the_committed_one(lane_port: int, document: dict[str, Any]) -> None:
    served = httpx.get(f"http://127.0.0.1:{lane_port}/openapi.yaml")
    assert yaml.safe_load(served.text) == document


def test_the_examples_of_the_parameters_are_an_order_that_is_answered_as_described(
    lane_port: int, document: dict[str, Any]
) -> None:
    operation = document["paths"]["/next-tracking-number"]["get"]
    queries = [parameter for parameter in operation["parameters"] if parameter["in"] == "query"]
    assert all(parameter["required"] for parameter in queries)
    first = {each["name"]: next(iter(each["examples"].values()))["value"] for each in queries}
    answer = httpx.get(f"http://127.0.0.1:{lane_port}/next-tracking-number?{urlencode(first)}")
    assert answer.status_code == 200
    described = document["components"]["schemas"]["Issued"]
    assert set(answer.json()) == set(described["properties"]) == set(described["required"])


def test_every_problem_of_the_endpoint_is_described_with_an_example(document: dict[str, Any]) -> None:
    responses = document["paths"]["/next-tracking-number"]["get"]["responses"]
    examples = [
        example["value"]
        for response in responses.values()
        for example in response["content"].get(problems.CONTENT_TYPE, {}).get("examples", {}).values()
    ]
    elsewhere = {problems.NOT_FOUND, problems.NOT_ACCEPTABLE, problems.UNSUPPORTED_MEDIA_TYPE}
    assert {example["type"] for example in examples} == {kind.type for kind in problems.ALL if kind not in elsewhere}
    assert all(responses[str(example["status"])] for example in examples)
