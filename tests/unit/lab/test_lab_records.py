import json
from pathlib import Path

from lab_worlds import management_link, service_host, service_record

from infra.lab.first_contact import files
from infra.lab.records import Records
from infra.lab.specs import ProbePointSpec


def test_a_host_is_known_from_its_record_until_it_is_removed(tmp_path: Path) -> None:
    records, record = Records(tmp_path / "lab"), service_record()
    assert records.read_host("svc1-70") is None
    records.write_host(record)
    assert records.read_host("svc1-70") == record
    assert records.hosts() == ("svc1-70",)
    records.remove_host("svc1-70")
    records.remove_host("svc1-70")
    assert records.hosts() == ()


def test_a_half_written_record_is_no_record(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.host_folder("svc1-70").mkdir(parents=True)
    (records.host_folder("svc1-70") / "record.unfinished").write_text("{", encoding="utf-8")
    assert records.read_host("svc1-70") is None
    assert records.hosts() == ("svc1-70",)


def test_a_probe_point_is_known_from_its_note(tmp_path: Path) -> None:
    records, spec = Records(tmp_path), ProbePointSpec("office", (management_link(),))
    records.write_probe_point(spec)
    assert records.read_probe_point("office") == spec
    assert records.probe_points() == ("office",)
    records.remove_probe_point("office")
    assert records.probe_points() == ()


def test_files_of_first_contact_have_their_modes_whatever_the_umask(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write_files("svc1-70", files(service_host(), "0" * 32))
    upper = records.host_folder("svc1-70") / "upper"
    wanted = {
        "etc": 0o755,
        "root": 0o700,
        "root/.ssh": 0o700,
        "root/.ssh/authorized_keys": 0o600,
        "etc/ssh/ssh_host_ed25519_key": 0o600,
        "etc/machine-id": 0o444,
    }
    seen = {path: (upper / path).stat().st_mode & 0o7777 for path in wanted}
    assert seen == wanted


def test_no_record_on_disk_holds_a_private_key(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write_host(service_record())
    written = (records.host_folder("svc1-70") / "record.json").read_text(encoding="utf-8")
    assert set(json.loads(written)) == {
        "name",
        "links",
        "authorized_keys",
        "host_public_key",
        "image",
        "created",
    }
