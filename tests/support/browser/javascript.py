"""What the browser's own check of a proof (reports/static/console/tlog.js) says, asked under node."""

import base64
import json
import subprocess
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tests.plugin import ROOT

STATIC: Final = ROOT / "reports" / "static" / "console"
_PROGRAM: Final = ROOT / "tests" / "support" / "examine.mjs"


class Claim(NamedTuple):
    """That an entry is in a log."""

    entry: str
    leaf_hash: bytes
    number: str
    proof: bytes
    key: str
    """The log's verifier key."""


class Verdict(NamedTuple):
    """What each step came to; all must hold."""

    steps: dict[str, bool]
    texts: dict[str, str]

    @property
    def proven(self) -> bool:
        """Whether the page would turn green."""
        return all(self.steps.values())

    @property
    def failed(self) -> list[str]:
        """The steps that do not hold."""
        return [step for step, holds in self.steps.items() if not holds]


def examine(claims: Sequence[Claim]) -> list[Verdict]:
    """One verdict for each claim."""
    found = ask(
        "proof",
        [
            {
                "entry": each.entry,
                "leafHash": each.leaf_hash.hex(),
                "number": each.number,
                "proof": base64.b64encode(each.proof).decode(),
                "verifierKey": each.key,
            }
            for each in claims
        ],
    )
    return [
        Verdict({step["step"]: step["holds"] for step in steps}, {step["step"]: step["text"] for step in steps})
        for steps in found
    ]


def ask(kind: str, claims: Sequence[dict[str, Any]]) -> list[Any]:
    """What one of the program's judges says to each claim; bytes are base64 there."""
    given = json.dumps({"kind": kind, "claims": claims})
    command = ["node", "--no-warnings", str(_PROGRAM), str(STATIC / "tlog.js")]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, timeout=240, check=True)
    verdicts: list[Any] = json.loads(done.stdout)
    return verdicts
