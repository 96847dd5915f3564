"""Names of the project and its stacks, as `pulumi stack ls` shows them."""

PROJECT = "province"
BACKBONE = "backbone"

_SITE_PREFIX = "site-"


def stack_name(site: str) -> str:
    """Answers the stack of a site by the site's code; `backbone` names its own."""
    return BACKBONE if site == BACKBONE else f"{_SITE_PREFIX}{site}"


def site_code(stack: str) -> str:
    """Answers whose stack it is: a site's code, or `backbone`."""
    return stack.removeprefix(_SITE_PREFIX)
