"""Numbers as labels have them, as slips of the pen leave them, and texts that never were one."""

from stdnum.iso7064 import mod_37_36

NEVER_ISSUED = {
    "well-formed": "3K9M7QX2PZ4MYIDT",
    "the highest there is": f"7ZZZZZZZZZZZZZZ{mod_37_36.calc_check_digit('7ZZZZZZZZZZZZZZ')}",
    "too short": "3K9M7QX2PZ4MYID",
    "too long": "3K9M7QX2PZ4MYIDTT",
    "very long": "3" * 4000,
    "one character": "0",
    "a letter that no number has": "3K9M7QX2PZIMYIDT",
    "NUL": "3K9M7QX2PZ4MYID%00",
    "a quote": "3K9M7QX2PZ4MYID'",
    "a percent sign": "%25s",
    "a wildcard": "%25",
    "not ASCII": "%EF%BC%93K9M7QX2PZ4MYIDT",
    "not UTF-8": "%FF%FE",
    "a surrogate": "%ED%A0%80",
    "a line feed": "3K9M7QX2PZ4MYIDT%0A",
    "only a space": "%20",
}
"""As they stand in a path."""


def forms(number: str) -> list[str]:
    """Ways to write a number that people use, each as it stands in a path."""
    groups = [number[at : at + 4] for at in range(0, 16, 4)]
    return [
        number.lower(),
        number.capitalize(),
        "%20".join(groups),
        "-".join(groups).lower(),
        f"%20{number[:11]}-{number[11:13]}%20{number[13:15]}-{number[15]}%20",
    ]


def slip(number: str) -> str:
    """The number with a wrong check character."""
    return number[:-1] + ("0" if number[-1] != "0" else "1")
