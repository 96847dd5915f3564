from pathlib import Path

import pytest

from infra.errors import PreflightError
from infra.lab.apt_sources import (
    Source,
    main_archives,
    one_line_sources,
    read_main_archives,
    stanza_sources,
)

STANZAS = """\
Types: deb
# where it was frozen
URIs: http://archive.example/debian
 http://second.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://archive.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

LINES = """\
# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://archive.example/debian bookworm main # why
deb-src http://archive.example/debian bookworm main
deb http://vendor.example/debian stable vendor
deb http://flat.example/debian ./
"""


def test_stanzas_give_every_pair_of_place_and_suite() -> None:
    places = [(one.uri, one.suite) for one in stanza_sources(STANZAS)]
    assert places == [
        ("http://archive.example/debian", "bookworm"),
        ("http://archive.example/debian", "bookworm-updates"),
        ("http://second.example/debian/", "bookworm"),
        ("http://second.example/debian/", "bookworm-updates"),
        ("http://archive.example/debian-security", "bookworm-security"),
    ]


def test_lines_are_read_past_their_options() -> None:
    first = next(one_line_sources(LINES))
    assert first == Source("deb", "http://archive.example/debian", "bookworm", ("main",))


def test_only_the_main_archive_counts() -> None:
    assert main_archives(stanza_sources(STANZAS)) == (
        "http://archive.example/debian",
        "http://second.example/debian",
    )
    assert main_archives(one_line_sources(LINES)) == ("http://archive.example/debian",)


def test_both_styles_are_found_in_apts_folder(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(LINES, encoding="utf-8")
    (tmp_path / "sources.list.d/debian.sources").write_text(STANZAS, encoding="utf-8")
    assert read_main_archives(tmp_path) == (
        "http://archive.example/debian",
        "http://second.example/debian",
    )


def test_a_machine_without_archive_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as refused:
        read_main_archives(tmp_path)
    assert refused.value.sentence == (
        f"{tmp_path}: names no main archive of Debian among 0 sources; the base image is built "
        "from one: add a source whose address ends in /debian, component main"
    )
