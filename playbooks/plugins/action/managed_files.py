# ruff: noqa: INP001 (Ansible loads plugins by file; a package here would be one more plugin)
"""Controller's half of `managed_files`: renders a role's files and sends them as one request.

The manual is `playbooks/plugins/README.md`.
"""

from __future__ import annotations

import base64
import difflib
import json
import re
import time
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RESTORE_SECONDS = 45  # after the timer, the host restores and reloads before it answers again
PROGRAM = Path(__file__).parent.parent / "module_utils/managed_files"

TASK_KEYS = {"files", "directories", "links", "checks", "guard", "role", "state", "root"}
EXPANSION_KEYS = {"each", "when"}
ACCESS_KEYS = {"mode", "owner", "group"}
ENTRY_KEYS = {
    "files": EXPANSION_KEYS
    | ACCESS_KEYS
    | {"secret", "template", "source", "content", "originals"},
    "directories": EXPANSION_KEYS | ACCESS_KEYS,
    "links": EXPANSION_KEYS | {"target", "originals"},
}
CHECK_KEYS = {"command", "after_swap"}
GUARD_KEYS = {"apply", "restore", "seconds", "settle_seconds"}
ROLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
MODE = re.compile(r"[0-7]{3,4}")


# What a task may say: pure ----------------------------------------------------------------------


def refuse_unknown(where: str, given: object, known: set[str]) -> dict[str, Any]:
    """A table whose keys are all known; an empty entry is an empty table.

    Raises:
        AnsibleActionFail: it is no table, or a key is not known.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise AnsibleActionFail(f"{where}: is {given!r}; a table is required")
    unknown = sorted(set(given) - known)
    if unknown:
        raise AnsibleActionFail(
            f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    return dict(given)


def commands(where: str, given: object) -> list[list[str]]:
    """A list of argument lists.

    Raises:
        AnsibleActionFail: it is something else, a shell string for example.
    """
    if isinstance(given, list) and all(isinstance(c, list) and c for c in given):
        return [[str(word) for word in command] for command in given]
    raise AnsibleActionFail(
        f"{where}: is {given!r}; a list of argument lists is required, as in [[nft, -f, FILE]]"
    )


def check_from(number: int, given: object) -> dict[str, Any]:
    """One checker of the task."""
    where = f"managed_files checks[{number}]"
    check = refuse_unknown(where, given, CHECK_KEYS)
    command = commands(f"{where}.command", [check.get("command")])[0]
    return {"command": command, "after_swap": bool(check.get("after_swap", False))}


def guard_from(given: object) -> dict[str, Any] | None:
    """The guard, with its defaults; durations in seconds."""
    if given is None:
        return None
    guard = refuse_unknown("managed_files guard", given, GUARD_KEYS)
    apply = commands("managed_files guard.apply", guard.get("apply"))
    seconds, settle = int(guard.get("seconds", 60)), float(guard.get("settle_seconds", 2))
    if settle * 3 > seconds:
        raise AnsibleActionFail(
            f"managed_files guard: settle_seconds {settle:g} leaves no time to confirm within "
            f"{seconds} seconds; make seconds at least three times as long"
        )
    return {
        "apply": apply,
        "restore": commands("managed_files guard.restore", guard.get("restore", apply)),
        "id": uuid.uuid4().hex,
        "seconds": seconds,
        "settle_seconds": settle,
    }


def access(where: str, entry: Mapping[str, Any], default_mode: str) -> dict[str, str]:
    """Mode, owner and group of an entry.

    Raises:
        AnsibleActionFail: the mode is not a quoted octal number.
    """
    mode = entry.get("mode", default_mode)
    if not isinstance(mode, str) or not MODE.fullmatch(mode):
        raise AnsibleActionFail(
            f'{where}: mode is {mode!r}; quoted octal digits are required, as in "0640"'
        )
    owner, group = str(entry.get("owner", "root")), str(entry.get("group", "root"))
    return {"mode": mode.zfill(4), "owner": owner, "group": group}


def originals(entry: Mapping[str, Any]) -> dict[str, list[str]]:
    """Contents (digests) or targets of which nothing is lost when they are replaced."""
    return {"originals": [str(original) for original in entry.get("originals") or []]}


def unified(one: Mapping[str, str]) -> str:
    """One entry of `diff` as a text."""
    if "prepared" in one:
        return one["prepared"]
    texts = [one[side].splitlines(keepends=True) for side in ("before", "after")]
    lines = difflib.unified_diff(*texts, one["before_header"], one["after_header"])
    return "".join(line if line.endswith("\n") else f"{line}\n\\ no newline\n" for line in lines)


def request_to_payload(request: Mapping[str, Any], program: Path = PROGRAM) -> str:
    """The one archive that is sent: the request and the program that answers it."""
    sources = {
        program.name if part.stem == "__init__" else f"{program.name}.{part.stem}": part.read_text()
        for part in sorted(program.glob("*.py"))
    }
    whole = json.dumps({**request, "program": sources}).encode()
    return base64.b64encode(zlib.compress(whole)).decode()


# The plugin -------------------------------------------------------------------------------------


class ActionModule(ActionBase):
    """Renders, sends, and confirms a guarded change over a fresh connection."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer one task."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = refuse_unknown("managed_files", self._task.args, TASK_KEYS)
        self._role = self._role_name(arguments, variables)
        guard = guard_from(arguments.get("guard"))
        checks = [check_from(n, c) for n, c in enumerate(arguments.get("checks") or [])]
        if guard and any(check["after_swap"] for check in checks):
            raise AnsibleActionFail(
                "managed_files: a check has after_swap and the task has a guard; guard.apply takes "
                "the change back itself when a command fails; put the check's command there"
            )
        removed = arguments.get("state") == "removed"
        request = {
            "role": self._role,
            "root": str(arguments.get("root") or variables.get("managed_files_root") or ""),
            "take_over": [str(path) for path in variables.get("managed_files_take_over") or []],
            "objects": self._objects(arguments, variables),
            "checks": [] if removed else checks,  # what comes back was there before
            "guard": guard,
            "check_mode": self._task.check_mode,
            "show_differences": bool(self._task.diff),
        }
        answer = self._send(request, variables)
        if "diff" in answer:
            answer["diff"] = [{"prepared": unified(one)} for one in answer["diff"]]
            if answer.get("failed"):
                # Ansible shows no difference of a failed task, and this one is the reason.
                answer["msg"] += "".join(f"\n{one['prepared']}" for one in answer["diff"]).rstrip()
        if guard and "guard" in answer:
            answer |= self._confirmed(guard, variables)
        return result | answer

    def _confirmed(self, guard: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """Ask the host, over fresh connections, what became of a guarded change."""
        question = {"confirm": guard["id"], "settle_seconds": guard["settle_seconds"]}
        limit = time.monotonic() + guard["seconds"] + RESTORE_SECONDS
        seen, pause = "it did not answer", guard["settle_seconds"] + 1
        while time.monotonic() < limit:
            time.sleep(pause)
            pause = 1
            self._connection.reset()  # also ends the shared master: the next one is a new TCP
            try:
                answer = self._send(question, variables)
            except AnsibleConnectionFailure as error:
                seen = to_text(error)
                continue
            outcome, seen = answer.get("outcome"), str(answer.get("reason") or answer.get("msg"))
            if outcome == "confirmed":
                return {"guard": {"id": guard["id"], "outcome": outcome}}
            if outcome in {"reverted", "unknown"}:
                return self._taken_back(answer)
        return {
            "failed": True,
            "guard": {"id": guard["id"], "outcome": "unknown"},
            "msg": f"managed_files {self._role}: the guarded change was not confirmed and what the "
            f"host recorded could not be read ({seen}); its own timer takes the change back; look "
            "at its console when it stays away",
        }

    def _taken_back(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        if answer["outcome"] == "unknown":
            said = "it has no record of it; look at /var/lib/province/guard there"
        else:
            failures = "".join(f"; while restoring: {f}" for f in answer["restore_failures"])
            said = (
                f"{answer['reason']}; as before are again: {', '.join(answer['paths'])}{failures}"
            )
        return {
            "failed": True,
            "changed": False,
            "guard": {"id": answer.get("id", ""), "outcome": answer["outcome"]},
            "msg": f"managed_files {self._role}: the host took the change back: {said}",
        }

    def _role_name(self, arguments: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
        role = arguments.get("role") or variables.get("ansible_role_name")
        if not role or not ROLE_NAME.fullmatch(str(role)):
            raise AnsibleActionFail(
                f"managed_files: role is {role!r}; outside a role give it, as in role: time_sync"
            )
        return str(role)

    def _send(self, request: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="managed_files",
            module_args={"payload": request_to_payload(request)},
            task_vars=variables,
        )
        return answer

    def _objects(
        self, arguments: Mapping[str, Any], variables: dict[str, Any]
    ) -> list[dict[str, Any]]:
        state = arguments.get("state", "present")
        if state not in {"present", "removed"}:
            raise AnsibleActionFail(f"managed_files: state is {state!r}; say present or removed")
        if state == "removed":
            return []
        objects = [
            self._object(room, path, entry, scope)
            for room in ENTRY_KEYS
            for path, entry, scope in self._expanded(room, arguments.get(room) or {}, variables)
        ]
        if not objects:
            raise AnsibleActionFail(
                "managed_files: declares nothing; give files, or say state: removed"
            )
        self._refuse_twice(objects)
        return objects

    def _refuse_twice(self, objects: list[dict[str, Any]]) -> None:
        seen: set[str] = set()
        for one in objects:
            if one["path"] in seen:
                raise AnsibleActionFail(
                    f"managed_files: {one['path']} is declared twice; each path once"
                )
            seen.add(one["path"])

    def _expanded(
        self, room: str, table: object, variables: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Entries one by one, with the variables that their text is rendered with."""
        if not isinstance(table, dict):
            raise AnsibleActionFail(f"managed_files {room}: is {table!r}; a table is required")
        for name, given in table.items():
            entry = refuse_unknown(f"managed_files {room} {name}", given, ENTRY_KEYS[room])
            if not entry.get("when", True):
                continue
            items = [{}] if "each" not in entry else [{"item": item} for item in entry["each"]]
            for item in items:
                scope = variables | item
                path = self._templar.copy_with_new_env(available_variables=scope).template(name)
                yield self._path(room, str(path)), entry, scope

    def _path(self, room: str, path: str) -> str:
        plain = path.startswith("/") and str(Path(path)) == path and ".." not in Path(path).parts
        if not plain or "{{" in path:
            raise AnsibleActionFail(
                f"managed_files {room}: {path!r} is no plain absolute path; write it as /etc/name"
            )
        return path

    def _object(
        self, room: str, path: str, entry: Mapping[str, Any], scope: dict[str, Any]
    ) -> dict[str, Any]:
        where = f"managed_files {room} {path}"
        if room == "links":
            if not isinstance(entry.get("target"), str):
                raise AnsibleActionFail(f"{where}: has no target; say where the link points to")
            return {"path": path, "kind": "link", "target": entry["target"], **originals(entry)}
        if room == "directories":
            return {"path": path, "kind": "directory", **access(where, entry, "0755")}
        rights = access(where, entry, "0644")
        secret = bool(entry.get("secret", False))
        if secret and int(rights["mode"], 8) & 0o007:
            raise AnsibleActionFail(
                f"{where}: is secret and has mode {rights['mode']}; others must have no right to "
                'it: "0600", or "0640" with a group'
            )
        return {
            "path": path,
            "kind": "file",
            **rights,
            "secret": secret,
            **originals(entry),
            **self._content(where, path, entry, scope),
        }

    def _content(
        self, where: str, path: str, entry: Mapping[str, Any], scope: dict[str, Any]
    ) -> dict[str, str]:
        named = [key for key in ("template", "source", "content") if key in entry]
        if len(named) > 1:
            raise AnsibleActionFail(f"{where}: has {' and '.join(named)}; one of them is enough")
        if named == ["content"]:
            return {"text": to_text(entry["content"])}
        if not named:
            if "each" in entry:
                raise AnsibleActionFail(f"{where}: has each; name its template or source as well")
            named, entry = self._mirrored(where, path)
        try:
            if named == ["template"]:
                return {"text": self._rendered(str(entry["template"]), path, scope)}
            return _as_it_is(self._verbatim(str(entry["source"])))
        except AnsibleError as error:
            raise AnsibleActionFail(f"{where}: {to_text(error)}") from error

    def _mirrored(self, where: str, path: str) -> tuple[list[str], dict[str, str]]:
        """The file of the role that mirrors a path: a template or a file, not both."""
        candidates = {"template": f"{path[1:]}.j2", "source": path[1:]}
        folders = {"template": "templates", "source": "files"}
        present = {}
        for key, name in candidates.items():
            try:
                self._find_needle(folders[key], name)
            except AnsibleError:
                continue
            present[key] = name
        if len(present) != 1:
            seen = "both exist" if present else "neither exists"
            raise AnsibleActionFail(
                f"{where}: of templates/{path[1:]}.j2 and files/{path[1:]} {seen}; exactly one is "
                "required, or a template, source or content in the entry"
            )
        return list(present), present

    def _rendered(self, name: str, path: str, scope: dict[str, Any]) -> str:
        """A template rendered as `ansible.builtin.template` does it."""
        source = self._find_needle("templates", name)
        stack = [*scope.get("ansible_search_path", []), self._loader.get_basedir()]
        folders = [
            p for top in [*stack, str(Path(source).parent)] for p in (f"{top}/templates", top)
        ]
        managed = f"province, role {self._role}: a change made here by hand stops the next run"
        facts = {"template_path": name, "template_fullpath": source, "template_destpath": path}
        templar = self._templar.copy_with_new_env(
            searchpath=folders,
            available_variables={"ansible_managed": managed} | scope | facts,
        )
        text = templar.template(
            trust_as_template(self._loader.get_text_file_contents(source)),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": False, "newline_sequence": "\n"},
        )
        return "" if text is None else to_text(text)

    def _verbatim(self, name: str) -> bytes:
        source = self._find_needle("files", name)
        return Path(self._loader.get_real_file(source)).read_bytes()


def _as_it_is(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
