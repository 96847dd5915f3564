"""What a ceremony is asked for, and what it hands on."""

import ipaddress
from dataclasses import dataclass, field

from infra.errors import AuthorityError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Profile:
    """Whom the authority speaks for, and for which names and addresses alone.

    Attributes:
        organisation: the province as it stands in the certificates' subject.
        domains: DNS domains that the issuing authority may certify, subdomains included.
        prefixes: IPv4 and IPv6 prefixes that it may certify.
        root_days: how long the root is valid.
        issuing_days: how long the issuing authority is valid; it cannot outlive the root.
    """

    organisation: str
    domains: tuple[str, ...]
    prefixes: tuple[str, ...]
    root_days: int = 7300
    issuing_days: int = 3650

    def __post_init__(self) -> None:
        families = {network.version for network in self.networks()}
        if not self.domains or families != {4, 6}:
            # A family without a permitted prefix would be unconstrained: RFC 5280 section 4.2.1.10.
            raise AuthorityError(
                f"authority of {self.organisation!r}: permits domains {list(self.domains)} and "
                f"prefixes {list(self.prefixes)}; name constraints need at least one domain and "
                "one prefix of each family, else that kind of name is free; declare them"
            )
        if self.issuing_days > self.root_days:
            raise AuthorityError(
                f"authority of {self.organisation!r}: the issuing authority would be valid for "
                f"{self.issuing_days} days and the root for {self.root_days}; give it at most the "
                "root's lifetime"
            )

    def networks(self) -> tuple[Network, ...]:
        """The prefixes as networks, in declared order."""
        try:
            return tuple(ipaddress.ip_network(prefix) for prefix in self.prefixes)
        except ValueError as error:
            raise AuthorityError(
                f"authority of {self.organisation!r}: {error}; write prefixes as 10.70.0.0/16 or "
                "fd70::/32"
            ) from error


@dataclass(frozen=True, slots=True)
class Material:
    """What hosts receive of a ceremony, as text. The root key is not among it.

    Attributes:
        root_certificate: PEM; what everybody trusts.
        issuing_certificate: PEM; signs hosts' certificates.
        issuing_key: PEM, encrypted with `issuing_passphrase`, as are all keys here. Secret.
        issuing_passphrase: opens the keys on the authority's host. Secret.
        ssh_host_authority: public key line of the authority that signs SSH host keys.
        ssh_user_authority: the same for people's keys.
        ssh_host_authority_key: PEM. Secret.
        ssh_user_authority_key: PEM. Secret.
        provisioner: public JSON web key (RFC 7517) by which the authority knows who may ask for
            first certificates.
        provisioner_key: PEM of its private half. Secret.
    """

    root_certificate: str
    issuing_certificate: str
    issuing_key: str = field(repr=False)
    issuing_passphrase: str = field(repr=False)
    ssh_host_authority: str
    ssh_user_authority: str
    ssh_host_authority_key: str = field(repr=False)
    ssh_user_authority_key: str = field(repr=False)
    provisioner: str
    provisioner_key: str = field(repr=False)
