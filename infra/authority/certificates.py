"""The two certificates of the ceremony: made from keys and a moment, and checked. Pure."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from infra.authority.keys import PrivateKey, PublicKey, same_key
from infra.authority.material import Profile
from infra.errors import AuthorityError

_BACKDATED = timedelta(minutes=5)
"""Clocks that are this far behind the controller's still accept a certificate at once."""


def root_certificate(profile: Profile, key: PrivateKey, now: datetime) -> str:
    """Answers the root as PEM: signed by itself, one authority below it and none below that."""
    name = _subject(profile, "root authority")
    builder = _authority(name, name, key.public_key(), path_length=1)
    return _sign(builder, key, now, profile.root_days)


def issuing_certificate(
    profile: Profile, key: PublicKey, root: str, root_key: PrivateKey, now: datetime
) -> str:
    """Answers the issuing authority as PEM: no authority below it, and only our own names."""
    issuer = read_certificate(root, "root certificate").subject
    builder = _authority(_subject(profile, "issuing authority"), issuer, key, path_length=0)
    builder = builder.add_extension(_constraints(profile), critical=True)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
    )
    return _sign(builder, root_key, now, profile.issuing_days)


def read_certificate(pem: str, subject: str) -> x509.Certificate:
    """Answers the certificate in a PEM.

    Raises:
        AuthorityError: it is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise AuthorityError(
            f"{subject}: is no certificate ({error}); bring the file from a backup of the ceremony"
        ) from error


def check_root(pem: str, key: PublicKey | None, now: datetime) -> None:
    """Refuses a root that is not valid now, or is not of this key.

    Raises:
        AuthorityError: says which.
    """
    certificate = read_certificate(pem, "root certificate")
    _check_validity(certificate, "root certificate", now)
    if key is not None and not same_key(key, certificate.public_key()):
        raise AuthorityError(
            "root certificate: belongs to another key than the one on the removable store; they "
            "must come from one ceremony; bring the store of this environment"
        )


def check_issuing(pem: str, root: str, key: PublicKey, profile: Profile, now: datetime) -> None:
    """Refuses an issuing authority that could not work or may do other than declared.

    Raises:
        AuthorityError: says what is wrong.
    """
    certificate = read_certificate(pem, "issuing certificate")
    _check_validity(certificate, "issuing certificate", now)
    try:
        certificate.verify_directly_issued_by(read_certificate(root, "root certificate"))
    except (ValueError, TypeError, InvalidSignature) as error:
        raise AuthorityError(
            "issuing certificate: is not signed by this environment's root; both must come from "
            "one ceremony; bring them from one backup"
        ) from error
    if not same_key(key, certificate.public_key()):
        raise AuthorityError(
            "issuing certificate: belongs to another key than the issuing key beside it; both must "
            "come from one ceremony; bring them from one backup"
        )
    seen = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    if seen != _constraints(profile):
        raise AuthorityError(
            f"issuing certificate: permits {_spelled(seen)}; the declaration asks for "
            f"{_spelled(_constraints(profile))}; move issuing.pem and issuing_key.pem away and "
            "hold the ceremony again with the removable store at hand"
        )


def _subject(profile: Profile, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, profile.organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{profile.organisation} {role}"),
        ]
    )


def _authority(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, path_length: int
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: PrivateKey, now: datetime, days: int) -> str:
    start = now.replace(microsecond=0) - _BACKDATED
    signed = (
        builder.not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .sign(key, hashes.SHA384())
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _constraints(profile: Profile) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[
            *(x509.DNSName(domain) for domain in profile.domains),
            *(x509.IPAddress(network) for network in profile.networks()),
        ],
        excluded_subtrees=None,
    )


def _spelled(constraints: x509.NameConstraints) -> str:
    return ", ".join(str(name.value) for name in constraints.permitted_subtrees or ())


def _check_validity(certificate: x509.Certificate, subject: str, now: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= now < end:
        raise AuthorityError(
            f"{subject}: is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d} and today is "
            f"{now:%Y-%m-%d}; it must be valid; set the clock right or renew the authority"
        )
