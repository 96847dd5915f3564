"""What a killed download left is used where it is whole, and never where it is not."""

import hashlib
from pathlib import Path

from infra.mirror.plan import Archive
from infra.mirror.resolve import _salvage


def archive(name: str, content: bytes) -> Archive:
    digest = hashlib.sha256(content).hexdigest()
    return Archive(f"http://archive.example/{name}.deb", f"{name}.deb", len(content), digest)


def test_a_whole_package_is_kept_and_a_damaged_one_of_the_same_size_is_not(tmp_path: Path) -> None:
    aside = tmp_path / "downloading"
    aside.mkdir()
    (aside / "whole.deb").write_bytes(b"content")
    (aside / "damaged.deb").write_bytes(b"cXntent")
    (aside / "cut.deb").write_bytes(b"con")

    names = ("whole", "damaged", "cut")
    _salvage(aside, tmp_path, [archive(name, b"content") for name in names])

    assert [path.name for path in tmp_path.iterdir()] == ["whole.deb"]
