"""What production must not be started with; what `make run` starts has secrets of its own and is let off."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from core.env import Env, SettingsError

_FEWEST: Final = 8
"""Different characters that a secret has at least: 32 random hex digits have fewer once in 28 million times."""
_PATTERNS: Final = ("PG_VERSION", "*/PG_VERSION", "*/*/PG_VERSION")
"""A data directory, one in a folder, and one as the official image has it: 18/docker."""


def check(env: Env) -> None:
    """Refuse settings under which nobody should serve.

    Raises:
        SettingsError: one of them; the message says what to give instead.
    """
    if env.embedded:
        return
    if env.debug:
        raise SettingsError("Setting DEBUG: debug pages show settings and queries, so production must not have them.")
    if "*" in (host.strip() for host in env.allowed_hosts.split(",")):
        raise SettingsError(
            "Setting ALLOWED_HOSTS: `*` serves whatever a client calls us, which it may then be lured with. Name the "
            "hosts."
        )
    for name, secret in _secrets(env):
        if not _is_random(secret):
            raise SettingsError(f"Setting {name}: this is no random key. Make one with: openssl rand -hex 32")
    if env.allow_unsafe_database:
        return
    for name, place in (("FENCE", env.fence), ("PUBLICATION", env.publication)):
        if place is not None and "://" not in place:
            check_volume(name, Path(place))


def check_volume(setting: str, path: Path) -> None:
    """Refuse a place that is set back together with the database, which it is there to tell on.

    Found is a data directory of PostgreSQL around ``path``, or on the same mounted volume; the root file system is
    not counted as one. A server on another machine, or in another container, can't be seen from here.

    Raises:
        SettingsError: the place is on such a volume.
    """
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    folder = folder.resolve()
    around = [folder, *folder.parents]
    inside = next((each for each in around if (each / "PG_VERSION").exists()), None)
    if inside is not None:
        raise SettingsError(_beside(setting, path, inside))
    volume = next(each for each in around if os.path.ismount(each))
    if volume == volume.parent:
        return
    for each in around[: around.index(volume) + 1]:
        for pattern in _PATTERNS:
            if found := next(each.glob(pattern), None):
                raise SettingsError(_beside(setting, path, found.parent))


def _beside(setting: str, path: Path, data: Path) -> str:
    return (
        f"Setting {setting}: {path} is on the volume of the database in {data}. Whoever restores that volume sets both "
        "back, and numbers would be issued twice without anyone knowing. Give it a place on another volume."
    )


def _is_random(secret: str) -> bool:
    """Whether it may be: not what a template has in its place, nor something short, repeated."""
    repeated = secret in (secret + secret)[1:-1]
    return len(set(secret)) >= _FEWEST and not repeated and not secret.startswith("django-insecure-")


def _secrets(env: Env) -> Iterator[tuple[str, str]]:
    """Each secret by the name of its setting; a ring's one by one, since one weak key is enough."""
    given: Iterable[tuple[str, str | None]] = (
        ("SECRET_KEY", env.secret_key),
        ("NUMBER_KEY", env.number_key),
        ("METRICS_TOKEN", env.metrics_token),
        *(("CUSTOMER_TAG_KEYS", key.partition(":")[2]) for key in (env.customer_tag_keys or "").split(",")),
    )
    return ((name, secret) for name, secret in given if secret)
