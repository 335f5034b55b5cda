"""The contract: schema/openapi.yaml is valid, served, and what its examples say works."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from openapi_spec_validator import validate

from core import problems
from core.contract import EVERYWHERE
from ledger.domain import merkle, proof, tiles
from tests.plugin import ROOT, Database
from tests.support.clients.api_keys import bearer, make_key
from tests.support.clients.http import ask
from tests.support.clients.operations import OPERATIONS
from tests.support.log.lists import path

SHARES = True

COMMITTED = ROOT / "schema" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())
    return loaded


def test_it_is_valid_openapi_to_a_reader_that_is_not_ours(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_served_schema_is_the_committed_one(lane_port: int, document: dict[str, Any]) -> None:
    served = ask(lane_port, "/openapi.yaml")
    assert yaml.safe_load(served.text) == document


def test_the_examples_of_the_parameters_are_an_order_that_is_answered_as_described(
    lane_port: int, document: dict[str, Any]
) -> None:
    operation = document["paths"]["/next-tracking-number"]["get"]
    queries = [parameter for parameter in operation["parameters"] if parameter["in"] == "query"]
    assert all(parameter["required"] for parameter in queries)
    first = {each["name"]: next(iter(each["examples"].values()))["value"] for each in queries}
    answer = ask(lane_port, f"/next-tracking-number?{urlencode(first)}")
    assert answer.status_code == 200
    described = document["components"]["schemas"]["Issued"]
    assert set(answer.json()) == set(described["required"]) == set(described["properties"]) - {"entry"}


ANYWHERE = set(EVERYWHERE) | {problems.DATABASE_UNAVAILABLE}
ACROSS = ANYWHERE | {problems.SHARD_UNAVAILABLE}
LOG = ACROSS | {problems.LOG_INCONSISTENT}
COUNTED = LOG | {problems.OTHER_TIME_ZONE}
ASKED_FOR_A_KEY = {problems.UNAUTHORIZED, problems.TOO_MANY_WRONG_KEYS, problems.MISSING_SCOPE}
KEYED = ASKED_FOR_A_KEY | {problems.OTHER_CUSTOMER}
NUMBER = ACROSS | {problems.UNKNOWN_NUMBER, problems.CHECK_CHARACTER, problems.INVALID_PARAMETERS}
GATED = ANYWHERE | KEYED | {problems.LOG_INCONSISTENT, problems.BEYOND_THE_TREE, problems.ONE_LOG_EACH}
DESCRIBED: dict[str, set[problems.Problem]] = {
    "GET /next-tracking-number": ANYWHERE
    | KEYED
    | {problems.INVALID_PARAMETERS, problems.INVALID_HEADER, problems.BODY_NOT_ALLOWED, problems.UNINTENDED}
    | {problems.IDEMPOTENCY_KEY_REUSED, problems.QUOTA_EXCEEDED, problems.OVERLOADED, problems.SHUTTING_DOWN}
    | {problems.ISSUING_REFUSED, problems.RESTORED_DATABASE, problems.ISSUES_ELSEWHERE},
    "GET /checkpoint": GATED,
    "GET /witnessed-checkpoint": GATED,
    "GET /tile/{path}": GATED | {problems.MALFORMED_TILE_PATH},
    # A key that is bound to another customer is answered as if there were nothing.
    "GET /v1/customers/{customer_id}/stats": COUNTED
    | ASKED_FOR_A_KEY
    | {problems.NOT_FOUND, problems.INVALID_PARAMETERS}
    | {problems.NOT_ACCEPTABLE, problems.OVERLOADED},
    "GET /v1/reports/daily": COUNTED
    | KEYED
    | {problems.INVALID_PARAMETERS, problems.NOT_ACCEPTABLE, problems.OVERLOADED},
    "GET /v1/reports/daily/{day}": COUNTED
    | KEYED
    | {problems.INVALID_PARAMETERS, problems.NOT_ACCEPTABLE, problems.NOT_FOUND},
    "GET /v1/reports/daily/{day}/corrections": LOG | KEYED | {problems.INVALID_PARAMETERS, problems.NOT_FOUND},
    "GET /v1/tracking-numbers/{number}": NUMBER | ASKED_FOR_A_KEY | {problems.LOG_INCONSISTENT},
    "GET /v1/tracking-numbers/{number}/barcode.svg": NUMBER,
    "GET /v1/tracking-numbers/{number}/barcode.png": NUMBER,
    "GET /v1/tracking-numbers/{number}/proof": LOG
    | {problems.UNKNOWN_NUMBER, problems.CHECK_CHARACTER, problems.NOT_YET_SEALED},
    "GET /v1/validate/{number}": {problems.INVALID_PARAMETERS, *EVERYWHERE},
    "GET /v1/tracking-numbers": LOG
    | ASKED_FOR_A_KEY
    | {problems.INVALID_PARAMETERS, problems.NOT_ACCEPTABLE, problems.OVERLOADED},
    "POST /v1/tracking-numbers": ANYWHERE
    | KEYED
    | {problems.MALFORMED_BODY, problems.INVALID_PARAMETERS, problems.INVALID_HEADER, problems.LENGTH_REQUIRED}
    | {problems.BODY_TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE, problems.IDEMPOTENCY_KEY_REUSED, problems.OVERLOADED}
    | {problems.CALL_EXCEEDS_QUOTA, problems.QUOTA_EXCEEDED}
    | {problems.SHUTTING_DOWN, problems.ISSUING_REFUSED, problems.RESTORED_DATABASE, problems.ISSUES_ELSEWHERE},
}


@pytest.mark.parametrize("operation", DESCRIBED)
def test_every_problem_of_an_operation_is_described_with_an_example(document: dict[str, Any], operation: str) -> None:
    method, path = operation.split()
    responses = document["paths"][path][method.lower()]["responses"]
    examples = {
        (status, example["value"]["type"]): example["value"]
        for status, response in responses.items()
        for example in response["content"].get(problems.CONTENT_TYPE, {}).get("examples", {}).values()
    }
    assert set(examples) == {(str(kind.status), kind.type) for kind in DESCRIBED[operation]}
    for kind in DESCRIBED[operation]:
        example = examples[str(kind.status), kind.type]
        assert (example["status"], example["title"], example["detail"]) == (kind.status, kind.title, kind.advice)
        assert example["instance"].startswith(path.partition("{")[0])


def test_no_operation_and_no_problem_is_left_out(document: dict[str, Any]) -> None:
    operations = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert operations == set(DESCRIBED)
    probes = {problems.NOT_READY}  # of /readyz, which is for operators and no part of the contract
    assert set().union(*DESCRIBED.values()) == set(problems.ALL) - probes


def test_the_examples_of_the_lists_filters_are_a_list_that_is_answered_as_described(
    database: Database, lane_port: int, document: dict[str, Any]
) -> None:
    operation = document["paths"]["/v1/tracking-numbers"]["get"]
    queries = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    examples = {
        name: next(iter(each["examples"].values()))["value"] for name, each in queries.items() if "examples" in each
    }
    assert set(queries) - set(examples) == {"cursor"}
    answer = ask(lane_port, path(**examples), **bearer(make_key(database, "audit")))
    assert answer.status_code == 200
    page, listed = (document["components"]["schemas"][name] for name in ("TrackingNumberPage", "Listed"))
    assert list(answer.json()) == [name for name in page["properties"] if name in page["required"]]
    assert set(page["properties"]) - set(page["required"]) == {"shards"}
    contents = operation["responses"]["200"]["content"]
    (shown,) = contents["application/json"]["examples"].values()
    assert list(shown["value"]["results"][0]) == list(listed["properties"])
    assert set(listed["required"]) == set(listed["properties"])
    columns = [name for name in listed["properties"] if name != "links"]
    (table,), (line,) = (contents[kind]["examples"].values() for kind in ("text/csv", "application/jsonl"))
    assert table["value"].splitlines()[0].split(",") == columns
    assert list(json.loads(line["value"])) == columns


def test_the_proof_that_is_shown_has_the_form_of_one(document: dict[str, Any]) -> None:
    contents = [
        document["paths"][path]["get"]["responses"]["200"]["content"]["text/plain"]
        for path in ("/checkpoint", "/v1/tracking-numbers/{number}/proof")
    ]
    checkpoint, text = (content["examples"]["Example"]["value"] for content in contents)
    shown = proof.read(text)
    assert shown.checkpoint == checkpoint
    size = int(checkpoint.split("\n")[1])
    assert len(shown.hashes) == len(merkle.inclusion_path(shown.leaf_index, size))


def test_the_paths_of_tiles_are_described_as_they_are_read() -> None:
    levels = ["entries", *(f"{level}" for level in range(100)), "00", "-1", "100", ""]
    widths = ["", *(f".p/{width}" for width in range(1000)), ".p/01", ".p/", ".p"]
    groups = ["000", "001", "010", "100", "999", "00", "0000"]
    indices = [*groups, *(f"x{a}/{b}" for a in groups for b in groups), "x001/x000/000", "x001/000/000", "x0/" * 20]
    paths = [f"{level}/000" for level in levels]
    paths += [f"0/000{width}" for width in widths]
    paths += [f"0/{index}{width}" for index in indices for width in widths[:3]]
    described = OPERATIONS["GET /tile/{path}"]["parameters"][0]["schema"]
    for tile in paths:
        fits = re.search(described["pattern"], tile) is not None and len(tile) <= described["maxLength"]
        assert fits == is_read(tile), tile


def is_read(path: str) -> bool:
    try:
        tiles.parse(path)
    except tiles.TilePathError:
        return False
    return True
