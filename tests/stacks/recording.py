"""Runs a program against Pulumi's mocks and tells which resources it registered."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import get_root_resource, mocks, stack

SEEN = {"power": "running", "os": "Debian 13", "host_public_key": "ssh-ed25519 AAAA"}


@dataclass(frozen=True)
class Registered:
    type: str
    name: str
    inputs: dict[str, Any]


@dataclass
class Recording(pulumi.runtime.Mocks):
    """What was registered, in order, and what the stack exports."""

    resources: list[Registered] = field(default_factory=list)
    urns: list[str] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(Registered(args.typ, args.name, dict(args.inputs)))
        return args.name, {**args.inputs, **SEEN}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)

    def of_type(self, token: str) -> list[Registered]:
        return [one for one in self.resources if one.type == token]


def record(program: Callable[[], None]) -> Recording:
    """Runs a program as the engine would and answers what it asked for."""
    recording = Recording()
    monitor = mocks.MockMonitor(recording)
    # The SDK makes its futures on the thread's loop, and loops on every thread that it uses: one
    # thread of ours, and both loops are closed.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with ThreadPoolExecutor(1) as thread:
        loop.set_default_executor(thread)
        pulumi.runtime.set_mocks(recording, "province", "sample", monitor=monitor)
        try:
            loop.run_until_complete(stack.run_pulumi_func(program))
            root = get_root_resource()
            assert isinstance(root, stack.Stack)
            exports = pulumi.Output.from_input(root.outputs).future()
            recording.exports = loop.run_until_complete(exports) or {}
        finally:
            thread.submit(_close_own_loop).result()
            asyncio.set_event_loop(None)
            loop.close()
    recording.urns = list(monitor.resources)
    return recording


def _close_own_loop() -> None:
    asyncio.get_event_loop_policy().get_event_loop().close()
