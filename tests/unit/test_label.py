"""The barcode, read back by a decoder that is not the encoder's."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from io import BytesIO

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from issuance.domain.number import Numbering
from ledger import label
from ledger.domain.form import canonical, grouped
from ledger.domain.serial import CAPACITY

NUMBERS = Numbering(bytes(range(32)))
SVG = "{http://www.w3.org/2000/svg}"
numbers = st.builds(NUMBERS.encode, st.integers(0, CAPACITY - 1), st.just("MY"), st.just("ID"))
# Runs of digits are where Code 128 changes its character set.
DIGITS = ("0000000000XMYID5", "012345678901MYI", "70A1234B567MYID9", "7123456789QMYID0", "00Z0000000ZMYID0")


def read(image: Image.Image) -> list[tuple[str, zxingcpp.BarcodeFormat]]:
    return [(found.text, found.format) for found in zxingcpp.read_barcodes(image)]


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def parsed(svg: bytes | str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  # our own


def painted(svg: bytes, scale: int) -> Image.Image:
    """What a browser shows of the rectangles, at so many dots a unit."""
    root = parsed(svg)
    _, _, width, height = map(int, root.attrib["viewBox"].split())
    image = Image.new("L", (width * scale, height * scale), "white")
    draw = ImageDraw.Draw(image)
    for rect in root.iter(f"{SVG}rect"):
        x, y = (int(rect.get(name, "0")) * scale for name in ("x", "y"))
        right, bottom = x + int(rect.attrib["width"]) * scale - 1, y + int(rect.attrib["height"]) * scale - 1
        draw.rectangle((x, y, right, bottom), fill=rect.get("fill", "black"))
    return image


@settings(deadline=None)
@given(numbers | st.sampled_from(DIGITS))
def test_a_decoder_reads_the_number_off_both_pictures(number: str) -> None:
    expected = [(number, zxingcpp.BarcodeFormat.Code128)]
    assert read(opened(label.png(number))) == expected
    assert read(painted(label.svg(number), 2)) == expected


@settings(deadline=None)
@given(numbers)
def test_every_bar_of_the_png_is_a_whole_number_of_modules_wide(number: str) -> None:
    picture = opened(label.png(number))
    row = [picture.getpixel((x, 100)) for x in range(picture.width)]
    edges = [x for x in range(1, len(row)) if row[x] != row[x - 1]]
    assert {edge % 3 for edge in edges} == {0}
    assert edges[0] >= 10 * 3, "the quiet zone before"
    assert picture.width - edges[-1] >= 10 * 3, "and after"


def test_the_number_stands_below_in_groups_of_four() -> None:
    number = "3K9M7QX2PZ4MYIDT"
    assert grouped(number) == "3K9M 7QX2 PZ4M YIDT"
    assert canonical(grouped(number)) == number
    (text,) = parsed(label.svg(number)).iter(f"{SVG}text")
    assert text.text == grouped(number)
    picture = opened(label.png(number)).convert("L")
    bars_end = 64 * 3
    below = picture.crop((0, bars_end, picture.width, picture.height)).point(lambda value: 255 - value).getbbox()
    assert below is not None, "there is something below the bars"
    assert below[2] - below[0] > picture.width / 3


def test_the_svg_is_rectangles_and_text_and_nothing_else() -> None:
    svg = label.svg("3K9M7QX2PZ4MYIDT").decode()
    assert "<!" not in svg, "no comment, no document type"
    assert "<?" not in svg
    elements = list(parsed(svg).iter())
    assert {each.tag for each in elements} == {f"{SVG}{name}" for name in ("svg", "rect", "text")}
    assert set().union(*(each.attrib for each in elements)) == {
        *("x", "y", "width", "height", "viewBox", "fill", "shape-rendering", "role", "aria-label"),
        *("text-anchor", "font-family", "font-size"),
    }
    assert svg.count("http") == 1, "the name of the format"


@pytest.mark.parametrize("draw", [label.svg, label.png])
def test_a_number_is_drawn_the_same_each_time_and_no_two_alike(draw: Callable[[str], bytes]) -> None:
    one, other = "3K9M7QX2PZ4MYIDT", NUMBERS.encode(0, "MY", "ID")
    assert draw(one) == draw(one) != draw(other)


def test_the_png_prints_at_three_hundred_dots_an_inch() -> None:
    picture = opened(label.png("3K9M7QX2PZ4MYIDT"))
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert picture.width / 300 * 25.4 < 60, "millimetres"
