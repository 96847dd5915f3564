"""The package mirror: what hosts may install, from one signed repository of our own."""

from infra.mirror.build import FirstContact, Mirror, build_first_contact, build_mirror
from infra.mirror.plan import COMPONENT, SUITE, MirrorPackage

__all__ = [
    "COMPONENT",
    "SUITE",
    "FirstContact",
    "Mirror",
    "MirrorPackage",
    "build_first_contact",
    "build_mirror",
]
