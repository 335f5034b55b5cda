"""``manage.py verify_proof``: check the proof of a number with nothing but the log's verifier key; no database."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger.domain import merkle, proof
from ledger.domain.cosignature import Policy, WitnessKey
from ledger.domain.merkle import HASH_BYTES, ProofError
from ledger.domain.note import NoteError, VerifierKey


class Command(BaseCommand):
    """Checks a proof offline, as the holder of a number would."""

    help = "Check a proof (c2sp.org/tlog-proof) against a verifier key and a leaf hash, or the entry itself. Offline."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the proof, the key, and what it is to be the proof of."""
        parser.add_argument("file", help="the proof; - reads standard input")
        parser.add_argument("--key", required=True, metavar="VKEY", help="the log's verifier key: name+id+base64")
        parser.add_argument(
            "--witness", action="append", default=[], metavar="VKEY", help="a witness's verifier key; again for others"
        )
        parser.add_argument("--quorum", type=int, metavar="N", help="witnesses that must have cosigned; else all given")
        leaf = parser.add_mutually_exclusive_group(required=True)
        leaf.add_argument("--leaf-hash", metavar="HEX", help="the leaf_hash of the number's answer, 64 hex digits")
        leaf.add_argument("--entry", metavar="FILE", type=Path, help="the exact bytes of the entry")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text(encoding="utf-8")
            leaf = _leaf_hash(options["leaf_hash"]) if options["entry"] is None else _hashed(options["entry"])
            policy = _policy(options["witness"], options["quorum"])
            index, checkpoint = proof.verify(text, VerifierKey.parse(options["key"].strip()), leaf, policy)
        except (ProofError, NoteError) as error:
            raise CommandError(f"Not proven: {error}") from None
        except UnicodeDecodeError:
            raise CommandError(f"Not proven: {options['file']} is no text in UTF-8.") from None
        except OSError as error:
            raise CommandError(f"{error.filename} can't be read: {error.strerror}.") from None
        witnessed = f", as {policy.quorum} witnesses or more saw it" if policy else ""
        self.stdout.write(f"Proven: leaf {index} of {checkpoint.size} in the log {checkpoint.origin}{witnessed}.")


def _policy(keys: list[str], quorum: int | None) -> Policy | None:
    if not keys and quorum is None:
        return None
    return Policy.of([WitnessKey.parse(key.strip()) for key in keys], len(keys) if quorum is None else quorum)


def _leaf_hash(text: str) -> bytes:
    try:
        leaf = bytes.fromhex(text)
    except ValueError:
        leaf = b""
    if len(leaf) != HASH_BYTES:
        raise ProofError("A leaf hash is 64 hex digits.")
    return leaf


def _hashed(file: Path) -> bytes:
    return merkle.leaf_hash(file.read_bytes())
