"""What the settings say about the log: its key, its place outside the database, and how a sealer is made of them."""

from pathlib import Path

from django.conf import settings

from core.embedded import secrets
from core.env import Env, SettingsError
from ledger.domain.cosignature import Policy, WitnessKey
from ledger.domain.note import NoteError, SignerKey, VerifierKey
from ledger.domain.serial import first_block
from ledger.domain.tag import KeyRing
from ledger.publication import PACE as FOLDER_PACE
from ledger.publication import Folder, Publication
from ledger.standby import Work
from ledger.witnesses import Witnesses

_PRIVATE = "PRIVATE+KEY+"


def verifier(env: Env) -> VerifierKey:
    """The log's verifier key; LEDGER_KEY may hold either half.

    Raises:
        SettingsError: there is none, or it is damaged.
    """
    if env.ledger_key is None:
        raise SettingsError("There is no LEDGER_KEY yet. `make run` makes one on its first start.")
    if env.ledger_key.startswith(_PRIVATE):
        return signer(env).verifier
    try:
        return VerifierKey.parse(env.ledger_key)
    except NoteError as error:
        raise SettingsError(f"Setting LEDGER_KEY: {error}") from None


def signer(env: Env) -> SignerKey:
    """The log's key; raises SettingsError as ``verifier`` does, and where only the verifier key is given."""
    if env.ledger_key is None or not env.ledger_key.startswith(_PRIVATE):
        raise SettingsError("The sealer needs the signing half of LEDGER_KEY, which begins with PRIVATE+KEY+.")
    try:
        return SignerKey.parse(env.ledger_key)
    except NoteError as error:
        raise SettingsError(f"Setting LEDGER_KEY: {error}") from None


def key_ring(env: Env) -> KeyRing:
    """The keys of the customers' pseudonyms.

    Raises:
        SettingsError: there is none yet, or one is not a key.
    """
    if env.customer_tag_keys is None:
        raise SettingsError("There are no CUSTOMER_TAG_KEYS yet. `make run` makes one on its first start.")
    try:
        return KeyRing.parse(env.customer_tag_keys)
    except ValueError as error:
        raise SettingsError(f"Setting CUSTOMER_TAG_KEYS: {error}") from None


def place(env: Env) -> Publication:
    """Where the log is published.

    Raises:
        SettingsError: nowhere, and this is not an embedded service; or what a bucket needs is missing.
    """
    if env.publication is not None and env.publication.startswith("s3://"):
        from ledger import publication_bucket as bucket  # noqa: PLC0415  # boto3 takes 50 MB, which a folder needs not

        return bucket.BucketPublication(env.publication, env, env.publication_seconds or bucket.PACE)
    if env.publication is None and not env.embedded:
        raise SettingsError(
            "Production needs PUBLICATION, a folder or bucket off the database's volume; see README.md."
        )
    folder = secrets.publication(env.data_dir) if env.publication is None else Path(env.publication)
    return Folder(folder, env.publication_seconds or FOLDER_PACE)


def witnesses(env: Env) -> Witnesses | None:
    """Who cosigns the log, and where they are asked; None where nobody is to.

    Raises:
        SettingsError: a key is damaged, or the quorum can't be had.
    """
    if env.witnesses is None:
        if env.witness_quorum is not None:
            raise SettingsError("Setting WITNESS_QUORUM: there are no WITNESSES that could make a quorum.")
        return None
    given = [each.split("@", 1) for each in env.witnesses.split(",")]
    try:
        policy = Policy.of([WitnessKey.parse(key) for key, _ in given], env.witness_quorum)
    except NoteError as error:
        raise SettingsError(f"Setting WITNESSES: {error}") from None
    addresses = tuple(address for _, address in given)
    if len(set(addresses)) != len(addresses):
        raise SettingsError("Setting WITNESSES: two have one address.")
    return Witnesses(policy, addresses, env.witness_seconds)


def policy(env: Env) -> Policy | None:
    """Whose cosignatures are served; raises as ``witnesses`` does."""
    found = witnesses(env)
    return None if found is None else found.policy


def work() -> Work:
    """All that the sealer of this service works with; raises SettingsError where something is missing."""
    env: Env = settings.ENV
    if env.coordinator:
        raise SettingsError("COORDINATOR is set. Seal the log of each shard with the settings of that shard.")
    return Work(
        settings.DATABASE_SEALER_URL,
        signer(env),
        place(env),
        first_block(env.shard),
        allow_unsafe=env.allow_unsafe_database,
        witnesses=witnesses(env),
    )
