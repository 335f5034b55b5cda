"""No operation of the contract lacks what its readers need: one walk over the whole of schema/openapi.yaml."""

import re
from collections.abc import Iterator
from functools import reduce
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from core import problems
from core.contract import EVERYWHERE
from core.keys.domain import Scope
from core.keys.schema import NAME
from schema.links import LINKS, success
from tests.support.clients.http import ask
from tests.support.clients.operations import DOCUMENT, OPERATIONS, PENDING, first_examples

SHARES = True

KINDS = {kind.type: kind for kind in problems.ALL}

every = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def test_what_is_pending_is_not_there_yet() -> None:
    assert not PENDING & set(OPERATIONS), "it is there: take it out of PENDING in tests/support/clients/operations.py"


@every
def test_an_operation_has_a_name_for_code_and_words_for_people(operation: dict[str, Any]) -> None:
    assert re.fullmatch("[a-z]+(_[a-z]+)*", operation["operationId"])
    assert re.fullmatch(r"[A-Z].{9,69}[^.\s]", operation["summary"]), "a title: one line, without a full stop"
    assert len(operation["description"]) > len(operation["summary"])
    (tag,) = operation["tags"]
    assert {"name", "description"} <= next(each.keys() for each in DOCUMENT["tags"] if each["name"] == tag)


def test_no_two_operations_have_one_name_in_any_language() -> None:
    names = [operation["operationId"].replace("_", "") for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)


@every
def test_an_operation_says_who_may(operation: dict[str, Any]) -> None:
    keyed = [requirement for requirement in operation["security"] if requirement]
    assert all(list(each) == [NAME] and len(each[NAME]) == 1 and Scope(each[NAME][0]) for each in keyed)
    described = {kind.slug for _, kind in described_problems(operation)}
    needed = {"unauthorized", "missing-scope"}
    assert described >= needed if keyed else not described & needed


@every
def test_every_parameter_is_explained_and_has_an_example_where_a_client_must_give_it(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        assert parameter["description"]
        examples = parameter.get("examples", {})
        assert examples or not parameter.get("required"), parameter["name"]
        assert_valid(examples, parameter["schema"])


@every
def test_a_body_is_required_and_shown(operation: dict[str, Any]) -> None:
    body = operation.get("requestBody")
    if body is not None:
        assert body["required"]
        for content in body["content"].values():
            assert content["examples"]
            assert_valid(content["examples"], content["schema"])


@every
def test_every_success_is_shown_by_an_example_that_is_valid(operation: dict[str, Any]) -> None:
    successes = {status: response for status, response in operation["responses"].items() if status.startswith("2")}
    assert successes
    for response in successes.values():
        assert response["description"]
        for media_type, content in response["content"].items():
            if content["schema"].get("format") != "binary" and not media_type.startswith("image/"):
                assert content["examples"]  # of what a text can show
                assert_valid(content["examples"], content["schema"])


@every
def test_everything_else_is_a_problem_and_all_share_one_schema(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            assert set(response["content"]) == {problems.CONTENT_TYPE}
            content = response["content"][problems.CONTENT_TYPE]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert_valid(content["examples"], content["schema"])
    described = list(described_problems(operation))
    assert all(int(status) == kind.status for status, kind in described)
    assert {kind for _, kind in described} >= set(EVERYWHERE)


@every
def test_every_header_of_an_answer_is_explained_and_those_of_problems_are_named(operation: dict[str, Any]) -> None:
    for response in operation["responses"].values():
        assert all(header["description"] for header in response.get("headers", {}).values())
    for status, kind in described_problems(operation):
        assert operation["responses"][status]["headers"].keys() >= {"X-Request-ID", *kind.headers}
    assert operation["responses"]["405"]["headers"]["Allow"]["required"]


@pytest.mark.parametrize("source", LINKS)
def test_every_link_leads_on_once_both_its_ends_are_there(source: str) -> None:
    if source in PENDING:
        assert source not in OPERATIONS
        return
    written = success(OPERATIONS[source])["links"]
    assert set(written) == {link.name for link in LINKS[source] if link.target not in PENDING}
    for link in LINKS[source]:
        if link.name in written:
            target = OPERATIONS[link.target]
            assert written[link.name]["operationId"] == target["operationId"]
            names = {parameter["name"] for parameter in target["parameters"] if parameter["in"] == "path"}
            assert set(link.parameters) == names
            assert all(shown(expression, OPERATIONS[source]) for expression in link.parameters.values())


@pytest.mark.parametrize("label", [label for label, operation in OPERATIONS.items() if operation["security"] == []])
def test_what_is_open_is_open_to_whoever_presents_a_bad_key_too(lane_port: int, label: str) -> None:
    sent = first_examples(label)
    answer = ask(lane_port, sent.target, sent.method, Authorization="Bearer tna_1_00")
    assert answer.status_code in {200, 404}


def shown(expression: str, operation: dict[str, Any]) -> Any:
    """What a runtime expression of a link comes to in the operation's examples."""
    if expression.startswith("$request.query."):
        name = ("query", expression.removeprefix("$request.query."))
        (found,) = (each for each in operation["parameters"] if (each["in"], each["name"]) == name)
        return next(iter(found["examples"].values()))["value"]
    pointer = expression.removeprefix("$response.body#/").split("/")
    content = success(operation)["content"]["application/json"]
    body = next(iter(content["examples"].values()))["value"]
    return reduce(lambda value, key: value[int(key) if isinstance(value, list) else key], pointer, body)


def described_problems(operation: dict[str, Any]) -> Iterator[tuple[str, problems.Problem]]:
    """Status and kind of each problem that is shown."""
    for status, response in operation["responses"].items():
        for example in response["content"].get(problems.CONTENT_TYPE, {}).get("examples", {}).values():
            yield status, KINDS[example["value"]["type"]]


def assert_valid(examples: dict[str, Any], schema: dict[str, Any]) -> None:
    """Each example is what the schema says."""
    validator = OAS31Validator(
        schema | {"components": DOCUMENT["components"]}, format_checker=OAS31Validator.FORMAT_CHECKER
    )
    for example in examples.values():
        validator.validate(example["value"])
