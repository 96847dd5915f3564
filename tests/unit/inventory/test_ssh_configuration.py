"""Ways to hosts and pinned keys, as OpenSSH itself reads them."""

import subprocess
from pathlib import Path

from infra.inventory import Way, pin_missing, render_config, unpin

PROXY = ("nsenter", "--net=/run/netns/a b", "nc", "%h", "%p")
CREATOR_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPJAhZaXmSWbw9vMptT4OFdDkIS5j16ke9pxxrNm+QFH"
AUTHORITY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtherOtherOtherOtherOtherOtherOtherOtherOth authority"
)
TRUST = f"@cert-authority *.sample.internal {' '.join(AUTHORITY.split()[:2])}"


def way(host: str, address: str, proxy: tuple[str, ...] = ()) -> Way:
    identity = Path("/state/secrets/automation_key")
    return Way(host, f"{host}.sample.internal", address, "ansible", identity, proxy)


def rendered() -> str:
    ways = [way("svc1-70", "10.1.6.11", PROXY), way("edge1-692", "fdb7:70c0:15:3::2")]
    return render_config(ways, Path("/state/known_hosts"), Path("/run/province/ab12cd34"))


def as_ssh_reads(config: Path, host: str) -> dict[str, str]:
    """Ask OpenSSH what it would do."""
    answer = subprocess.run(
        ["ssh", "-G", "-T", "-F", config, host], check=True, capture_output=True, text=True
    )
    assert answer.stderr == ""
    return dict(line.split(" ", 1) for line in answer.stdout.splitlines() if " " in line)


def test_openssh_goes_the_way_and_trusts_pinned_keys_only(tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(rendered(), encoding="utf-8")
    said = as_ssh_reads(config, "svc1-70")
    assert {
        key: said[key]
        for key in (
            "hostname",
            "hostkeyalias",
            "user",
            "identityfile",
            "identitiesonly",
            "passwordauthentication",
            "stricthostkeychecking",
            "userknownhostsfile",
            "globalknownhostsfile",
            "updatehostkeys",
            "proxycommand",
        )
    } == {
        "hostname": "10.1.6.11",
        "hostkeyalias": "svc1-70.sample.internal",
        "user": "ansible",
        "identityfile": "/state/secrets/automation_key",
        "identitiesonly": "yes",
        "passwordauthentication": "no",
        "stricthostkeychecking": "true",
        "userknownhostsfile": "/state/known_hosts",
        "globalknownhostsfile": "/dev/null",
        "updatehostkeys": "false",
        "proxycommand": "nsenter '--net=/run/netns/a b' nc %h %p",
    }


def test_a_host_without_a_proxy_is_reached_directly(tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text(rendered(), encoding="utf-8")
    said = as_ssh_reads(config, "edge1-692")
    assert "proxycommand" not in said
    assert said["hostname"] == "fdb7:70c0:15:3::2"


def test_sockets_of_two_environments_do_not_meet() -> None:
    assert "ControlPath /run/province/ab12cd34/%C\n" in rendered()


def test_a_host_is_pinned_by_the_key_that_its_creator_gave_it() -> None:
    known = pin_missing("", {"svc1-70.sample.internal": CREATOR_KEY}, AUTHORITY, "sample.internal")
    assert known == f"svc1-70.sample.internal {CREATOR_KEY}\n{TRUST}\n"


def test_a_pin_that_bootstrap_changed_stays() -> None:
    before = f"svc1-70.sample.internal ssh-ed25519 OWN\n{TRUST}\n"
    keys = {"svc1-70.sample.internal": CREATOR_KEY}
    assert pin_missing(before, keys, AUTHORITY, "sample.internal") == before


def test_a_new_host_is_added_beside_the_old_ones() -> None:
    before = pin_missing("", {"a.sample.internal": CREATOR_KEY}, AUTHORITY, "sample.internal")
    keys = dict.fromkeys(("a.sample.internal", "b.sample.internal"), CREATOR_KEY)
    after = pin_missing(before, keys, AUTHORITY, "sample.internal")
    assert sorted(after.splitlines()) == sorted(
        [*before.splitlines(), f"b.sample.internal {CREATOR_KEY}"]
    )


def test_another_authority_takes_the_place_of_the_old_one() -> None:
    before = pin_missing("", {}, "ssh-ed25519 OLD comment", "sample.internal")
    assert pin_missing(before, {}, AUTHORITY, "sample.internal") == f"{TRUST}\n"


def test_what_was_destroyed_is_forgotten_and_nothing_else() -> None:
    keys = dict.fromkeys(("a.sample.internal", "b.sample.internal"), CREATOR_KEY)
    known = pin_missing("", keys, AUTHORITY, "sample.internal")
    assert unpin(known, frozenset({"a.sample.internal"})) == (
        f"b.sample.internal {CREATOR_KEY}\n{TRUST}\n"
    )
