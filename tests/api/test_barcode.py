"""Barcodes over HTTP: for whoever has a number that was issued, the same for ever."""

from io import BytesIO

import pytest
import zxingcpp
from PIL import Image

from tests.support.clients.api_keys import bearer
from tests.support.clients.http import ask, problem
from tests.support.clients.labels import NEVER_ISSUED, forms, slip
from tests.support.log import history as histories

SHARES = True

FORMS = {"svg": "image/svg+xml", "png": "image/png"}


@pytest.fixture(scope="module")
def number(lane_port: int) -> str:
    """One that was issued, and is not sealed."""
    return next(iter(histories.issue(lane_port, 1)))


@pytest.mark.parametrize("form", FORMS)
def test_whoever_has_a_number_gets_its_barcode_and_may_keep_it(port: int, number: str, form: str) -> None:
    path = f"/v1/tracking-numbers/{number}/barcode.{form}"
    response = ask(port, path)
    assert (response.status_code, response.headers["content-type"]) == (200, FORMS[form])
    assert set(response.headers["cache-control"].split(", ")) == {"public", "max-age=31536000", "immutable"}
    assert response.headers["x-content-type-options"] == "nosniff"
    again = ask(port, path, If_None_Match=response.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert ask(port, path, If_None_Match='"other"').content == response.content
    head = ask(port, path, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert ask(port, path, **bearer("tna_1_" + "0" * 32)).content == response.content, "nobody's key is looked at"


def test_the_png_is_read_as_the_number(port: int, number: str) -> None:
    picture = Image.open(BytesIO(ask(port, f"/v1/tracking-numbers/{number}/barcode.png").content))
    (found,) = zxingcpp.read_barcodes(picture)
    assert (found.text, found.format) == (number, zxingcpp.BarcodeFormat.Code128)


@pytest.mark.parametrize("form", FORMS)
def test_the_barcode_is_that_of_the_number_however_it_is_written(port: int, number: str, form: str) -> None:
    drawn = ask(port, f"/v1/tracking-numbers/{number}/barcode.{form}").content
    for written in forms(number):
        assert ask(port, f"/v1/tracking-numbers/{written}/barcode.{form}").content == drawn


@pytest.mark.parametrize("form", FORMS)
def test_there_is_none_for_a_number_that_was_never_issued(port: int, number: str, form: str) -> None:
    for unknown in NEVER_ISSUED.values():
        assert problem(ask(port, f"/v1/tracking-numbers/{unknown}/barcode.{form}")) == (404, "unknown-number")
    wrong = ask(port, f"/v1/tracking-numbers/{slip(number)}/barcode.{form}")
    assert problem(wrong) == (404, "check-character")
    assert f"end in {number[-1]}." in wrong.json()["detail"]
    assert problem(ask(port, f"/v1/tracking-numbers/{number}/barcode.gif")) == (404, "not-found")


@pytest.mark.parametrize("form", FORMS)
def test_a_parameter_is_refused_so_that_nobody_keeps_one_picture_under_many_names(
    port: int, number: str, form: str
) -> None:
    response = ask(port, f"/v1/tracking-numbers/{number}/barcode.{form}?scale=2")
    assert problem(response) == (400, "invalid-parameters")
    assert [(each["parameter"], each["code"]) for each in response.json()["errors"]] == [("scale", "unknown")]
