"""What the controller makes before any machine: keys, secrets, the authority, the mirror."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.authority import Material as AuthorityMaterial
from infra.authority import Profile, hold_ceremony
from infra.bootstrap import AccountKeys
from infra.bootstrap.plan import PACKAGES as BOOTSTRAP_PACKAGES
from infra.cli.environment import Environment
from infra.cli.progress import now
from infra.inventory import Material
from infra.lab.image import BaseImage, base_image
from infra.mirror import FirstContact, Mirror, build_first_contact, build_mirror
from infra.model import Province
from infra.plan import Plan
from infra.secrets import ensure_key, ensure_secrets, wanted_secrets, write_private

Report = Callable[[str], None]

SECRET_MATERIAL = frozenset(
    {
        "issuing_key",
        "issuing_passphrase",
        "provisioner_key",
        "ssh_host_authority_key",
        "ssh_user_authority_key",
    }
)
"""Names of the authority's material that go to the vault; a test compares with its type."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that later stages take from the controller."""

    image: BaseImage
    mirror: Mirror
    first_contact: FirstContact
    keys: AccountKeys
    creator_public_key: str
    authority: AuthorityMaterial
    secrets: dict[str, str]
    material: Material


def ensure_ssh_key(path: Path) -> str:
    """An Ed25519 key of the controller, made once; returns its public line."""
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        write_private(path, private.decode())
    loaded = serialization.load_ssh_private_key(path.read_bytes(), password=None)
    public = loaded.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    line = public.decode()
    path.with_suffix(".pub").write_text(line + "\n", encoding="utf-8")
    return line


def account_keys(environment: Environment) -> AccountKeys:
    """Where the creator's and the automation account's keys lie."""
    return AccountKeys(
        creator=environment.secrets / "creator_key",
        automation=environment.secrets / "automation_key",
    )


def _ceremony(environment: Environment, province: Province) -> AuthorityMaterial:
    declaration = province.declaration
    profile = Profile(
        organisation=declaration.title.vi,
        domains=(declaration.domain,),
        prefixes=(declaration.addressing.ipv4.block, declaration.addressing.ipv6.block),
    )
    return hold_ceremony(
        profile,
        folder=environment.secrets / "authority",
        store=environment.removable_store,
        passphrase_file=environment.secrets / "root_passphrase",
        now=now(),
    )


def _material(authority: AuthorityMaterial, mirror: Mirror, automation_key: str) -> Material:
    values = {name: getattr(authority, name) for name in AuthorityMaterial.__slots__}
    public = {name: value for name, value in values.items() if name not in SECRET_MATERIAL}
    public |= {
        "archive_key": mirror.key.read_text(encoding="utf-8"),
        "automation_key": automation_key,
        "mirror_digest": mirror.digest,
        "mirror_path": str(mirror.path),
    }
    secret = {name: value for name, value in values.items() if name in SECRET_MATERIAL}
    return Material(public=public, secret=secret)


def prepare(environment: Environment, province: Province, plan: Plan, report: Report) -> Prepared:
    """Make what is missing and read the rest; a second call changes nothing."""
    ensure_key()
    environment.state.mkdir(parents=True, exist_ok=True)
    environment.secrets.mkdir(mode=0o700, exist_ok=True)
    keys = account_keys(environment)
    creator, automation = ensure_ssh_key(keys.creator), ensure_ssh_key(keys.automation)
    secrets = ensure_secrets(
        environment.secrets / "secrets.yml", wanted_secrets(plan, province.functions)
    )
    report("the certificate authority's ceremony")
    authority = _ceremony(environment, province)
    image = base_image(report)
    signing = environment.secrets / "archive"
    mirror = build_mirror(
        sorted({*plan.packages, *BOOTSTRAP_PACKAGES}),
        image.dpkg_status,
        environment.state / "mirror",
        signing,
        report=report,
    )
    first_contact = build_first_contact(
        mirror,
        sorted({*plan.first_contact_packages, *BOOTSTRAP_PACKAGES}),
        image.dpkg_status,
        environment.state / "first_contact",
        signing,
        report=report,
    )
    material = _material(authority, mirror, automation)
    return Prepared(image, mirror, first_contact, keys, creator, authority, secrets, material)
