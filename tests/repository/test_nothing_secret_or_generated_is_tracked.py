"""A key that was committed once is public for ever, and a generated file that is kept grows old."""

import re

import pytest
from checkout_files import CHECKOUT, git, name, present

SECRET_SUFFIXES = {".key", ".pem", ".p12", ".pfx", ".jks", ".kdbx", ".gpg", ".asc", ".crt"}
SECRET_NAMES = re.compile(r"^(id_(rsa|ed25519|ecdsa)|.*_key|vault_password.*|\.env|shadow)$")
SECRET_CONTENT = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----\s*[\r\n]+[A-Za-z0-9+/=:\s-]{40}"
    rb"|^\$ANSIBLE_VAULT;",
    re.MULTILINE,
)
NAMED_AFTER_KEYS = {"playbooks/plugins/vault_key"}
"""A program that prints where the key lies, which is outside the checkout."""

REGISTRIES = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("registry", "npmjs", "org"),
        ("galaxy", "ansible", "com"),
        ("get", "pulumi", "com"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
)
"""Where packages come from is the machine's affair. In parts, so that this file names none."""


RENDERED = re.compile(r"^tests/roles/[a-z_]+/[a-z_]+/(etc|usr|var)/")
"""Files as roles render them for tests: named as on a host, so their content is judged alone."""


def is_secret(path: str, content: bytes) -> bool:
    file = path.rsplit("/", 1)[-1]
    suffix = "." + file.rsplit(".", 1)[-1] if "." in file else ""
    named = suffix in SECRET_SUFFIXES or SECRET_NAMES.match(file) is not None
    harmless = path in NAMED_AFTER_KEYS or RENDERED.match(path) is not None
    return (named and not harmless) or SECRET_CONTENT.search(content) is not None


def registries_in(content: bytes) -> list[str]:
    return [host for host in REGISTRIES if host.encode() in content]


def test_no_key_vault_or_password_is_tracked() -> None:
    assert [name(path) for path in present() if is_secret(name(path), path.read_bytes())] == []


def test_no_key_was_ever_tracked() -> None:
    log = git("log", "--all", "--format=", "--name-only", "--diff-filter=A")
    ever = {line for line in log.splitlines() if line}
    assert {"pyproject.toml"} <= ever, "the history is not there: this check would pass on nothing"
    assert [path for path in sorted(ever) if is_secret(path, b"")] == []


def test_nothing_that_git_ignores_is_tracked() -> None:
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard").splitlines() == []


@pytest.mark.parametrize(
    "path",
    [
        ".province/lab/plan.json",
        ".province/lab/pulumi/stacks/lab.json",
        ".province/lab/secrets/secrets.yml",
        "inventories/lab/hosts.yml",
        "inventories/binh_phuoc/host_vars/gw1-70/facts.yml",
        "inventories/lab/host_vars/gw1-70/secrets.yml",
        ".venv/bin/python",
        "infra/__pycache__/errors.cpython-311.pyc",
    ],
)
def test_what_runs_write_is_ignored(path: str) -> None:
    assert git("check-ignore", "--no-index", path).strip() == path


def test_no_file_names_a_registry() -> None:
    found = {name(path): registries_in(path.read_bytes()) for path in present()}
    assert {path: hosts for path, hosts in found.items() if hosts} == {}


def test_the_lock_pins_every_package_by_digest() -> None:
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)==", lock, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert len(pins) == len(entries) > 50
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("roles/x/files/server.pem", b""),
        ("tests/id_ed25519", b""),
        ("a.yml", b"---\n$ANSIBLE_VAULT;1.1;AES256\n6162"),
        ("a.txt", b"-----BEGIN OPENSSH PRIVATE KEY" + b"-----\n" + b"b3BlbnNzaC1rZXktdjEA" * 3),
    ],
)
def test_a_secret_is_found(path: str, content: bytes) -> None:
    assert is_secret(path, content)
