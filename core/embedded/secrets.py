"""The secrets of an embedded service: made once, kept in DATA_DIR, readable by their owner only."""

import os
import secrets
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from core.env import Env, HexKey, KeyRing, LedgerKey, Secret, SettingsError

RANDOM: Final = {"secret_key": Secret, "number_key": HexKey, "customer_tag_keys": KeyRing}
KINDS: Final = RANDOM | {"ledger_key": LedgerKey}
DEMO: Final = {"demo_key": Secret}


def make(data_dir: Path) -> None:
    """Make the random secrets, once.

    The folder appears complete or not at all, so a file that is missing later was lost and is never made anew: another
    NUMBER_KEY would give numbers that are already out.

    Raises:
        SettingsError: a kept secret is missing or damaged.
    """
    folder = data_dir / "secrets"
    if not folder.exists():
        new = data_dir / "secrets.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True, mode=0o700)
        for name in RANDOM:
            value = secrets.token_hex(32)
            _write(new / name, f"1:{value}" if name == "customer_tag_keys" else value)
        new.rename(folder)
        _sync(data_dir)
    for name in RANDOM:
        _read(folder / name)


def lacks_ledger_key(data_dir: Path) -> bool:
    """Whether a ledger key is to be made.

    Raises:
        SettingsError: there was one, since a log was published with it.
    """
    file = data_dir / "secrets" / "ledger_key"
    if file.exists():
        _read(file)
        return False
    if publication(data_dir).exists():
        raise SettingsError(f"{file} is missing. Put it back from a copy; the log was signed with it.")
    return True


def keep_ledger_key(data_dir: Path, value: str) -> None:
    """Keep the log's key with the other secrets."""
    _keep(data_dir / "secrets" / "ledger_key", value)


def keep_customer_tag_keys(data_dir: Path, value: str) -> None:
    """Keep other customer keys in place of those that are kept; on disk when this returns."""
    _keep(data_dir / "secrets" / "customer_tag_keys", value)


def demo_key(data_dir: Path, make: Callable[[], str]) -> str:
    """The API key to try the service with: ``make`` makes it, once, and it can be shown again at each start."""
    file = data_dir / "secrets" / "demo_key"
    if not file.exists():
        _keep(file, make())
    return _read(file)


def console_login(data_dir: Path, make: Callable[[], str]) -> str | None:
    """The one-time password of the console's first login, which ``make`` makes; None: it was told at an earlier start.

    Of the password nothing is kept, only that there was one.
    """
    file = data_dir / "secrets" / "console_login"
    if file.exists():
        return None
    password = make()
    _keep(file, "made, and told at that start")
    return password


def forget_logins(data_dir: Path) -> None:
    """Have the demo key and the console's login made anew at the next start: the database may know of neither."""
    for name in ("demo_key", "console_login"):
        (data_dir / "secrets" / name).unlink(missing_ok=True)


def publication(data_dir: Path) -> Path:
    """The folder in which `make run` publishes the log."""
    return data_dir / "published"


def complete(env: Env) -> Env:
    """Add the kept secrets to the settings of an embedded service; what the operator gave has precedence.

    Before the first `make run` there are none, and the settings stay without.

    Raises:
        SettingsError: production lacks a secret of its own, or a kept secret is missing or damaged.
    """
    # A coordinator serves the logs of its shards, whose keys it has in its database.
    needed = RANDOM if env.coordinator else KINDS
    missing = [name for name in needed if getattr(env, name) is None]
    if missing and not env.embedded:
        names = ", ".join(name.upper() for name in missing)
        raise SettingsError(f"Production (DATABASE_URL is set) needs {names}; see README.md, Settings.")
    folder = env.data_dir / "secrets"
    if not missing or not folder.exists():
        return env
    if not (folder / "ledger_key").exists():
        missing = [name for name in missing if name != "ledger_key"]  # it comes after the others
    return msgspec.structs.replace(env, **{name: _read(folder / name) for name in missing})


def _keep(file: Path, value: str) -> None:
    """Write a secret that comes after the first ones, or instead of one; it appears complete or not at all."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    _write(fresh, value)
    fresh.rename(file)
    _sync(file.parent)


def _write(path: Path, value: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make what was created or renamed in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path) -> str:
    """One secret; no message ever holds its value."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(f"{path} can be read by other users. Run: chmod 600 {path}")
        return msgspec.convert(path.read_text().strip(), (KINDS | DEMO)[path.name])
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing. Put it back from a copy; a new one would not fit the data.") from None
    except (msgspec.ValidationError, UnicodeDecodeError):
        raise SettingsError(f"{path} is empty or damaged. Put it back from a copy.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. It belongs to whoever ran this first.") from None
