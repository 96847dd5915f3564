"""The properties that every machine has, whoever makes it: name, place, asset record."""

from collections.abc import Mapping

from infra.providers import rules
from infra.providers.rules import Rule

HOST_RULES: Mapping[str, Rule] = {
    "name": rules.name,
    "fqdn": rules.name,
    "site": rules.name,
    "functions": rules.many(rules.name),
    "failure_domain": rules.optional_text,
    "owner": rules.optional_text,
    "operator": rules.optional_text,
    "place": rules.optional_text,
    "purpose": rules.optional_text,
    "vendor": rules.optional_text,
    "serial": rules.optional_text,
    "support_end": rules.optional_text,
    "openings": rules.mapping(
        {
            "interface": rules.name,
            "protocol": rules.name,
            "ports": rules.many(rules.whole_number),
            "leads_to": rules.optional_text,
            "flow": rules.optional_text,
        }
    ),
    "links": rules.mapping(
        {
            "network": rules.name,
            "zone": rules.name,
            "kind": rules.name,
            "addresses": rules.many(rules.interface_address),
            "gateways": rules.many(rules.address),
            "isolated": rules.boolean,
        }
    ),
}
"""Texts of the asset record may be empty here: that a machine has an owner is a policy's matter,
and a policy that cannot be broken proves nothing."""
