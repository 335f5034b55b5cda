"""Are vulnerabilities known of what production is given? Exits with 1 if so; says so where nobody can be asked."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

REQUIREMENTS = "requirements/base.txt"
SECONDS = 120


def main() -> int:
    """Ask the Python Packaging Advisory Database by pip-audit, for exactly the versions that are pinned."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", REQUIREMENTS, "--require-hashes", "--disable-pip"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--format=json", "--progress-spinner=off", "--timeout=15"],
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        packages: list[dict[str, Any]] = msgspec.json.decode(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        print(f"audit: nothing was audited, since the advisories can't be had here ({type(error).__name__}).")
        return 0
    known = [(each["name"], each["version"], flaw) for each in packages for flaw in each.get("vulns", ())]
    for name, version, flaw in known:
        mended = ", ".join(flaw["fix_versions"]) or "none yet"
        print(f"audit: {name} {version} has {flaw['id']}; mended in: {mended}. `make requirements` takes newer ones.")
    skipped = sum("skip_reason" in each for each in packages)
    print(f"audit: {len(packages) - skipped} packages looked up, {skipped} not known there, {len(known)} flaws")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(main())
