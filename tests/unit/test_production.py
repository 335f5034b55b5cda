"""A place outside the database must not be set back together with it."""

import os
from pathlib import Path

import pytest

from core import production
from core.env import SettingsError


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is mounted on its own; only root could mount one, so the question is answered for it."""
    mounts = {str(tmp_path), "/"}
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) in mounts)
    return tmp_path


def cluster(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("18\n")


@pytest.mark.parametrize("data", ["", "data", "18/docker", "postgresql/main"])
def test_a_place_on_the_database_s_volume_is_refused(volume: Path, data: str) -> None:
    cluster(volume / "database" / data)
    with pytest.raises(SettingsError, match=r"Setting FENCE: .* is on the volume of the database in .*another volume"):
        production.check_volume("FENCE", volume / "database" / "tracking" / "fence")


def test_a_place_within_a_data_directory_is_refused_on_whatever_volume(tmp_path: Path) -> None:
    cluster(tmp_path / "18" / "docker")
    with pytest.raises(SettingsError, match="Setting PUBLICATION"):
        production.check_volume("PUBLICATION", tmp_path / "18" / "docker" / "published")


def test_a_link_out_of_sight_does_not_hide_where_a_place_is(volume: Path) -> None:
    cluster(volume / "database")
    (volume / "database" / "kept").mkdir()
    (volume / "elsewhere").symlink_to(volume / "database" / "kept")
    with pytest.raises(SettingsError):
        production.check_volume("FENCE", volume / "elsewhere" / "fence")


def test_a_place_on_a_volume_without_a_database_is_fine(volume: Path) -> None:
    (volume / "other").mkdir()
    production.check_volume("FENCE", volume / "other" / "deep" / "fence")


def test_a_machine_with_one_disk_has_no_other_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == "/")
    cluster(tmp_path / "postgresql" / "main")
    production.check_volume("FENCE", tmp_path / "tracking" / "fence")
