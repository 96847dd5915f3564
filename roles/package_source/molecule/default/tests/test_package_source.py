"""Where packages come from: asked of apt, and tried."""

import pytest


def test_mirror_is_the_only_source(host):
    lines = host.check_output("apt-get indextargets --format '$(SITE)'").splitlines()
    assert set(lines) == {"http://192.0.2.1:80"}
    kept = host.check_output("find /etc/apt -name '*.list' -o -name '*.sources'")
    assert kept == "/etc/apt/sources.list.d/province.sources"


def test_package_of_the_mirror_is_installed(host):
    host.check_output("apt-get install --yes netbase")
    assert host.package("netbase").is_installed


@pytest.fixture
def other_key(host):
    """The source trusts another key than the mirror's: as if an impostor served it."""
    source, trusted = "/etc/apt/sources.list.d/province.sources", "debian-archive-trixie-stable.pgp"
    host.check_output(f"cp --preserve {source} /root/source")
    host.check_output(
        f"sed -i 's,^Signed-By: .*,Signed-By: /usr/share/keyrings/{trusted},' {source}"
    )
    yield
    host.check_output(f"mv /root/source {source}")
    host.check_output("apt-get update")


@pytest.mark.usefixtures("other_key")
def test_mirror_that_another_key_signed_is_refused(host):
    host.check_output("sh -c 'rm -f /var/lib/apt/lists/*InRelease'")
    answer = host.run("apt-get update 2>&1")
    assert answer.rc != 0
    assert "is not signed" in answer.stdout


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("APT::Install-Recommends", "false"),
        ("APT::Get::AllowUnauthenticated", "false"),
        ("Acquire::AllowInsecureRepositories", "false"),
    ],
)
def test_policy_is_in_force(host, setting, value):
    shown = host.check_output(f"apt-config dump --format '%v%n' {setting}")
    assert shown == value


def test_host_knows_whose_packages_it_has(host):
    assert '"first"' in host.file("/etc/province/package_mirror.json").content_string
