"""Bad declarations beside the exact text that they produce, and good ones that must pass."""

import shutil
from datetime import date
from pathlib import Path

import pytest
import worlds

from infra.errors import DeclarationError, ExitCode
from infra.model import load_province

CASE_FILES = sorted(worlds.DECLARATIONS.glob("*.yml"))
LEAST_CASES = 115


@pytest.fixture(scope="session")
def sample_roles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worlds.write_roles(tmp_path_factory.mktemp("roles"), worlds.sample_functions_data())


def refusal(folder: Path, roles: Path) -> str:
    """Load a declaration that must be refused; answers all that a person is told."""
    with pytest.raises(DeclarationError) as refused:
        load_province(folder, roles)
    assert refused.value.exit_code is ExitCode.REFUSED
    return "".join(f"{line}\n" for line in (refused.value.sentence, *refused.value.findings))


def test_every_case_has_its_text_and_no_text_stands_alone() -> None:
    texts = sorted(worlds.DECLARATIONS.glob("*.txt"))
    assert [path.stem for path in CASE_FILES] == [path.stem for path in texts]
    assert len(CASE_FILES) >= LEAST_CASES


@pytest.mark.parametrize("path", CASE_FILES, ids=lambda path: path.stem)
def test_bad_declaration_is_refused_with_exactly_its_text(
    path: Path, sample_roles: Path, tmp_path: Path
) -> None:
    case = worlds.read_case(path)
    own_roles = tmp_path / "roles"
    folder = case.write(tmp_path, own_roles)
    before = {file: file.read_bytes() for file in folder.iterdir()}
    said = refusal(folder, own_roles if case.has_own_roles else sample_roles)
    assert said == path.with_suffix(".txt").read_text(encoding="utf-8")
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_the_base_of_all_cases_is_good(sample_roles: Path) -> None:
    assert load_province(worlds.BASE, sample_roles) == worlds.province_with_two_districts()


def test_the_whole_data_centre_is_good(tmp_path: Path) -> None:
    case = worlds.read_case(worlds.CASES / "whole.yml")
    declaration = load_province(case.write(tmp_path, tmp_path / "roles"), tmp_path / "roles")
    assert set(declaration.declaration.database_clusters) == {"main"}
    assert declaration.declaration.shared_services["online_services"].published is not None


def test_a_missing_declaration_is_named(sample_roles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    assert refusal(folder, sample_roles) == (
        "declaration 'nowhere': 1 finding; nothing was touched\n"
        f"{folder / 'province.yml'}: does not exist; "
        "name an environment that has one, or write it with province init\n"
    )


def test_a_declaration_in_another_encoding_is_named(sample_roles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "province.yml").write_bytes("name: Bình Phước".encode("utf-16"))
    assert refusal(folder, sample_roles) == (
        "declaration 'base': 1 finding; nothing was touched\n"
        "province.yml: is not UTF-8 text (byte 1); save it as UTF-8\n"
    )


def test_a_unit_list_that_a_spreadsheet_saved_is_read(sample_roles: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(worlds.BASE, tmp_path / "base")
    units = folder / "units.csv"
    units.write_text(units.read_text(encoding="utf-8"), encoding="utf-8-sig", newline="\r\n")
    assert load_province(folder, sample_roles).units == worlds.province_with_two_districts().units


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    said = refusal(worlds.BASE, tmp_path)
    assert said == f"{tmp_path}: no role has a meta/function.yml; run from a checkout\n"


def test_a_host_may_differ_from_what_it_merges(sample_roles: Path) -> None:
    hosts = load_province(worlds.BASE, sample_roles).declaration.blueprints["data_centre"].hosts
    assert [hosts[name].slot for name in ("db1", "db2", "db3")] == [21, 22, 23]


@pytest.mark.parametrize(("environment", "sites"), [("lab", 3), ("binh_phuoc", 123)])
def test_declared_environments_of_this_checkout_validate(environment: str, sites: int) -> None:
    assert len(worlds.declared_province(environment).declaration.sites) == sites


def test_the_province_is_declared_whole() -> None:
    province = worlds.declared_province("binh_phuoc")
    tiers = [province.units[site.unit].tier for site in province.declaration.sites]
    assert {tier: tiers.count(tier) for tier in set(tiers)} == {
        "province": 1,
        "district": 11,
        "commune": 111,
    }
    as_of = province.declaration.as_of
    existing = {code for code, unit in province.units.items() if unit.exists_on(as_of)}
    assert {site.unit for site in province.declaration.sites} == existing


def test_a_province_without_districts_validates() -> None:
    province = worlds.province_without_districts()
    assert {province.units[site.unit].tier for site in province.declaration.sites} == {
        "province",
        "commune",
    }
    assert province.declaration.as_of > date(2025, 7, 1)
