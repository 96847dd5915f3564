"""Every error of ours, in one tree, and the exit code that each one ends with.

ProvinceError                 FAILED    something stopped; the sentence says what to do
├── RefusedError              REFUSED   the declaration or the call is wrong; nothing was touched
│   ├── DeclarationError                the declaration has findings
│   └── PreflightError                  this machine cannot do what was asked
├── LockHeldError             LOCKED    another run works on this environment
├── ToolError                           a tool could not be found, brought or built
├── MirrorError                         the package mirror could not be built
├── LabError                            the container lab could not do what was asked
├── ProviderError                       a machine or network could not be made, read or removed
├── StackError                          the engine failed, or would do other than it previewed
├── InventoryError                      the inventory could not be derived or written
├── BootstrapError                      a bare host could not be taken over
├── ConfigureError                      roles failed, or may not be applied
├── ComplianceError                     evidence could not be collected or judged
├── AuthorityError                      a certificate could not be made, signed or read
├── SecretsError                        a secret could not be made, read or kept
└── JournalError                        the record of a run could not be read or written

A sentence names the subject, what was seen, what is required and what to do. Nothing outside this
tree is raised on purpose, and nothing catches the root but the command.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command's exit tells its caller."""

    DONE = 0
    """Everything that was asked is done."""

    FAILED = 1
    """Something failed, or a control that is due is not met."""

    REFUSED = 2
    """The declaration or the call is wrong; nothing was touched."""

    DEFERRED = 3
    """Some sites could not be reached and are queued; all others are done."""

    LOCKED = 4
    """Another run holds the lock of this environment."""


class ProvinceError(Exception):
    """Whatever goes wrong on purpose, as one sentence that a person can act on."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class RefusedError(ProvinceError):
    """A refusal before anything was touched, with all its findings at once.

    A finding is whatever reads as a sentence through ``str``; findings keep the given order.
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, sentence: str, findings: Iterable[object] = ()) -> None:
        super().__init__(sentence)
        self.findings = tuple(findings)


class DeclarationError(RefusedError):
    """The declaration, or what it names, breaks rules."""


class PreflightError(RefusedError):
    """This machine lacks something that the asked operation needs."""


class LockHeldError(ProvinceError):
    """Another run holds the lock; the sentence says who and since when."""

    exit_code = ExitCode.LOCKED


class ToolError(ProvinceError):
    """A tool (engine, step, step-ca, go) could not be found, brought or built."""


class MirrorError(ProvinceError):
    """The package mirror could not be resolved, downloaded, signed or read."""


class LabError(ProvinceError):
    """The container lab could not make, start, reach or remove something."""


class ProviderError(ProvinceError):
    """A resource of a substrate could not be created, read, changed or deleted."""


class StackError(ProvinceError):
    """The engine failed, a policy refused, or an update differs from its preview."""


class InventoryError(ProvinceError):
    """The inventory could not be derived from the plan and the stacks' outputs, or written."""


class BootstrapError(ProvinceError):
    """A bare host could not be taken over, for example because its host key is another."""


class ConfigureError(ProvinceError):
    """Roles failed on a host, or may not be applied from this checkout."""


class ComplianceError(ProvinceError):
    """Evidence could not be collected, read or judged."""


class AuthorityError(ProvinceError):
    """The certificate authority could not make, sign, revoke or read a certificate."""


class SecretsError(ProvinceError):
    """A secret could not be made, read, kept or opened."""


class JournalError(ProvinceError):
    """The record of a run could not be read or written."""
