"""Serves the provider: in our own process, or as the executable `pulumi-resource-province`.

Both serve the same types. The executable finds its environment in PROVINCE_STATE_DIRECTORY, the
folder ``.province/<environment>``.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from infra.errors import ProvinceError
from infra.lab.image import base_image
from infra.lab.lab import Lab
from infra.providers.host_keys import HostKeys
from infra.providers.lab_client import LabClient
from infra.providers.lab_host import LabHosts
from infra.providers.lab_network import LabNetworks
from infra.providers.lab_probe_point import LabProbePoints
from infra.providers.records import REGISTERS, STATIC_NETWORKS
from infra.providers.resource_type import ResourceType
from infra.providers.servicer import ProvinceProvider
from infra.providers.static_client import SshClient, StaticClient
from infra.providers.static_host import StaticHosts

STATE_DIRECTORY_VARIABLE = "PROVINCE_STATE_DIRECTORY"

_WORKERS = 32
"""Requests at once: a machine that boots holds one for half a minute."""


def resource_types(
    lab: LabClient,
    host_keys: HostKeys,
    base_image: Callable[[], Path],
    static: StaticClient,
) -> tuple[ResourceType, ...]:
    """Answers every type of ours over the given clients."""
    return (
        LabNetworks(lab),
        LabHosts(lab, host_keys, base_image),
        LabProbePoints(lab),
        STATIC_NETWORKS,
        StaticHosts(static),
        REGISTERS,
    )


def real_resource_types(state_directory: Path) -> tuple[ResourceType, ...]:
    """Answers every type over this environment's lab and the real network."""
    keys = HostKeys(state_directory / "secrets" / "host_keys")
    return resource_types(Lab(state_directory), keys, lambda: base_image().path, SshClient())


@contextmanager
def serving(types: tuple[ResourceType, ...]) -> Iterator[int]:
    """Serves the types on a port of this machine while the context lasts; gives the port."""
    server = grpc.server(ThreadPoolExecutor(_WORKERS, thread_name_prefix="province-provider"))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProvinceProvider(types), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        # Without grace: whoever leaves the context has waited for the engines.
        server.stop(None).wait()


def main() -> None:
    """Serves the engine that started us, until it closes our input or interrupts us."""
    folder = os.environ.get(STATE_DIRECTORY_VARIABLE)
    if folder is None:
        sys.exit(
            f"pulumi-resource-province: {STATE_DIRECTORY_VARIABLE} is not set; it must name the "
            "environment's state folder: export it, for example as $PWD/.province/lab"
        )
    try:
        types = real_resource_types(Path(folder))
    except ProvinceError as error:
        sys.exit(error.sentence)
    with serving(types) as port:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        _wait_for_the_engine()


def _wait_for_the_engine() -> None:
    """Waits until the engine is gone.

    An engine that is killed ends nobody: without this, providers would pile up.
    """
    gone = threading.Event()

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        gone.set()

    threading.Thread(target=watch, daemon=True).start()
    try:
        gone.wait()
    except KeyboardInterrupt:
        return
