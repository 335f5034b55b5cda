"""A number as a label carries it: a barcode in Code 128 (ISO/IEC 15417), and the number below it for people."""

from functools import cache
from importlib import resources
from io import BytesIO
from itertools import groupby
from typing import NamedTuple

from barcode import Code128
from PIL import Image, ImageDraw, ImageFont

from ledger.domain.form import grouped

# In modules, a module being as wide as the narrowest bar.
_QUIET = 10  # left and right of the bars, at least (ISO/IEC 15417)
_MARGIN = 4
_BAR_HEIGHT = 60
_TEXT_HEIGHT = 10
_BASELINE = _MARGIN + _BAR_HEIGHT + 12
_HEIGHT = _BASELINE + _MARGIN

# A module of 3 dots at 300 dpi: 0.254 mm, which every scanner reads and every label printer hits exactly.
_DOTS = 3
_DPI = 300
_MODULE_MM = _DOTS * 25.4 / _DPI


class Bar(NamedTuple):
    """A dark bar: where it begins and how wide it is, in modules."""

    x: int
    width: int


def svg(number: str) -> bytes:
    """The label as SVG: no script, no style sheet, no reference to anything outside."""
    bars, width = _bars(number)
    drawn = "".join(f'<rect x="{bar.x}" y="{_MARGIN}" width="{bar.width}" height="{_BAR_HEIGHT}"/>' for bar in bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" shape-rendering="crispEdges"'
        f' width="{width * _MODULE_MM:.3f}mm" height="{_HEIGHT * _MODULE_MM:.3f}mm"'
        f' role="img" aria-label="Barcode of {number}">'
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>{drawn}'
        f'<text x="{width / 2:g}" y="{_BASELINE}" text-anchor="middle" font-family="monospace"'
        f' font-size="{_TEXT_HEIGHT}">{grouped(number)}</text></svg>\n'
    ).encode()


def png(number: str) -> bytes:
    """The label as PNG, 300 dots an inch."""
    bars, width = _bars(number)
    image = Image.new("1", (width * _DOTS, _HEIGHT * _DOTS), "white")  # label printers know no grey
    draw = ImageDraw.Draw(image)
    top, bottom = _MARGIN * _DOTS, (_MARGIN + _BAR_HEIGHT) * _DOTS - 1  # Pillow paints the last dot too
    for bar in bars:
        draw.rectangle((bar.x * _DOTS, top, (bar.x + bar.width) * _DOTS - 1, bottom), fill="black")
    middle = (width * _DOTS / 2, _BASELINE * _DOTS)
    draw.text(middle, grouped(number), fill="black", font=_font(), anchor="ms")
    file = BytesIO()
    image.save(file, "PNG", dpi=(_DPI, _DPI))
    return file.getvalue()


def _bars(number: str) -> tuple[list[Bar], int]:
    """The dark bars, and the width of the whole with its quiet zones."""
    (modules,) = Code128(number).build()
    bars, x = [], _QUIET
    for dark, run in groupby(modules):
        width = len(list(run))
        if dark == "1":
            bars.append(Bar(x, width))
        x += width
    return bars, x + _QUIET


@cache
def _font() -> ImageFont.FreeTypeFont:
    """The font that python-barcode brings: nobody takes its 0 for an O, or its 1 for an I."""
    data = resources.files("barcode").joinpath("fonts", "DejaVuSansMono.ttf").read_bytes()
    return ImageFont.truetype(BytesIO(data), _TEXT_HEIGHT * _DOTS)
