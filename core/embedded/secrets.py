"""The secrets of an embedded service: made once, kept in DATA_DIR, readable by their owner only."""

import os
import secrets
from pathlib import Path

import msgspec

from core.env import Env, SettingsError

NAMES = ("secret_key", "number_key", "customer_tag_keys")


def _folder(data_dir: Path) -> Path:
    return data_dir / "secrets"


def make(data_dir: Path) -> None:
    """Make the secrets that are missing; what is there is never touched."""
    folder = _folder(data_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in NAMES:
        value = secrets.token_hex(32)
        if name == "customer_tag_keys":
            value = f"1:{value}"
        try:
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(handle, "w") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())


def complete(env: Env) -> Env:
    """Add the kept secrets to the settings of an embedded service; refuse a production without its own.

    Raises:
        SettingsError: production lacks a secret, or a kept secret is damaged.
    """
    missing = [name for name in NAMES if getattr(env, name) is None]
    if not env.embedded:
        if missing:
            raise SettingsError(f"Production needs {', '.join(name.upper() for name in missing)}; see README.md, Settings.")
        return env
    kept = {
        name: path.read_text().strip() for name in missing if (path := _folder(env.data_dir) / name).exists()
    }
    if any(not value for value in kept.values()):
        raise SettingsError(f"A file in {_folder(env.data_dir)} is empty. Put its content back from a copy.")
    return msgspec.structs.replace(env, **kept)
