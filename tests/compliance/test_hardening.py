"""HRD: what the kernel and its mounts allow, and what may be plugged in."""

import pytest
from harness import Machine, NotShown, Seen, listed

KERNEL = {
    "kernel.randomize_va_space": {"2"},
    "kernel.yama.ptrace_scope": {"1", "2", "3"},
    "fs.suid_dumpable": {"0"},
}
TEMPORARY = ("/tmp", "/dev/shm")  # noqa: S108 - the folders that the control names
MOUNT_OPTIONS = frozenset({"nosuid", "nodev", "noexec"})
AUTOMOUNTERS = frozenset({"udisks2", "autofs", "usbmount", "pmount", "gvfs"})


@pytest.mark.control("HRD-03")
def test_kernel_protects_memory(machine: Machine, seen: Seen) -> None:
    shown = machine.reply("sysctl", *KERNEL).output
    running = dict(line.split(" = ", 1) for line in shown.splitlines())

    seen(*(f"{name} = {running.get(name, 'not there')}" for name in KERNEL))
    if machine.is_container():
        raise NotShown(f"{machine.name}: shares its kernel; these parameters are not its own")
    wrong = [name for name, good in KERNEL.items() if running.get(name) not in good]
    assert not wrong, f"{machine.name}: {listed(wrong)} differ; required: {KERNEL}"


@pytest.mark.control("HRD-03")
def test_temporary_folders_run_nothing(machine: Machine, seen: Seen) -> None:
    for folder in TEMPORARY:
        reply = machine.reply("findmnt", "--noheadings", "--output", "OPTIONS", folder)
        options = set(reply.output.strip().split(","))
        seen(f"{folder}: {reply.output.strip() or 'no mount of its own'}")
        missing = sorted(MOUNT_OPTIONS - options)
        assert not missing, f"{machine.name}: {folder} lacks {listed(missing)}"


@pytest.mark.control("HRD-03")
def test_programs_leave_no_memory_image(machine: Machine, seen: Seen) -> None:
    limit = machine.ask("bash", "--login", "-c", "ulimit -H -c").strip()
    manager = machine.ask("systemctl", "show", "--property=DefaultLimitCORE", "--value").strip()

    seen(f"limit of a login: {limit}", f"limit of services: {manager}")
    assert limit == "0", f"{machine.name}: a login may write memory images of {limit}; 0 it must be"
    assert manager == "0", f"{machine.name}: services may write memory images of {manager}"


@pytest.mark.control("HRD-04")
def test_nothing_mounts_or_logs_in_by_itself(machine: Machine, seen: Seen) -> None:
    shown = machine.ask("dpkg-query", "--show", "--showformat=${binary:Package}\n")
    installed = {name.partition(":")[0] for name in shown.splitlines()}
    consoles = machine.ask("systemctl", "cat", "getty@.service", "console-getty.service")
    autologin = [line for line in consoles.splitlines() if "--autologin" in line]

    seen(f"{len(installed)} packages looked at", f"automatic logins: {listed(autologin)}")
    found = sorted(installed & AUTOMOUNTERS)
    assert not found, f"{machine.name}: {listed(found)} mount by themselves; remove them"
    assert not autologin, f"{machine.name}: a console logs in by itself: {listed(autologin)}"


@pytest.mark.control("HRD-04")
def test_removable_storage_is_refused(machine: Machine, seen: Seen) -> None:
    answer = machine.reply("modprobe", "--show-depends", "usb-storage")

    seen(f"modprobe usb-storage would: {(answer.output or answer.complaint).strip()}")
    if machine.is_container():
        raise NotShown(f"{machine.name}: loads no modules; its kernel belongs to the machine")
    refused = "install /bin/false" in answer.output or "install /bin/true" in answer.output
    assert refused or answer.code != 0, f"{machine.name}: would load usb-storage; it must refuse"
