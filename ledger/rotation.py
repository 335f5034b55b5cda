"""What the commands that begin and end customer keys have in common: the ledger's record, and where settings go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from django.conf import settings
from django.core.management.base import CommandError

from core.databases import OWNER_ROLE
from core.embedded import secrets
from core.env import Env, SettingsError, load
from ledger import customer_keys, runtime
from ledger.domain.customer_key import CustomerKeyError, Fact
from ledger.domain.tag import KeyRing
from ledger.log import Connection
from ledger.role_session import RoleError, session

EVERYWHERE: Final = "every web instance, of every shard, and those that read for a coordinator"


@contextmanager
def changing() -> Iterator[tuple[KeyRing, Connection]]:
    """The keys of the settings, and the owner's session; what goes wrong becomes a CommandError."""
    try:
        ring = runtime.key_ring(settings.ENV)
        # The policies on customer_key do not bind the owner.
        with session(settings.DATABASE_OWNER_URL, OWNER_ROLE, "tracking-keys") as connection:
            yield ring, connection
    except (SettingsError, CustomerKeyError, RoleError) as error:
        raise CommandError(str(error)) from None
    except psycopg.errors.UndefinedTable as error:
        raise CommandError(f"The database has no record of keys; run `manage.py migrate`: {error}".strip()) from None
    except psycopg.errors.UniqueViolation:
        raise CommandError("The same command ran at the same time, and was first. Run this one again.") from None
    except psycopg.Error as error:
        raise CommandError(f"The database can't be used: {error}".strip()) from None


def refuse_while_older(key_id: int, fact: Fact) -> None:
    """CommandError while web processes run that have the settings of before a fact."""
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as connection:
        count = customer_keys.sessions_before(connection, key_id, fact)
    if count:
        raise CommandError(
            f"{count} sessions of web processes began before key {key_id} was {fact}, or don't show when they began: "
            f"their processes have older CUSTOMER_TAG_KEYS. Restart them first: {EVERYWHERE}. Where another login than "
            "that of DATABASE_URL serves too, grant pg_read_all_stats to this one."
        )


def kept(ring: KeyRing) -> bool:
    """Keep the keys with the secrets of `make run`; False where they are the operator's setting."""
    env: Env = settings.ENV
    if not env.embedded or load().customer_tag_keys is not None:
        return False
    secrets.keep_customer_tag_keys(env.data_dir, ring.setting)
    return True
