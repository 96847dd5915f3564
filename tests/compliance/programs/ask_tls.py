"""Asks services over TLS and tells what they said; all at once, answers in the same order.

    python3 -c PROGRAM '[{"address", "port", "name", "trusted", "certificate", "key", "request",
                          "seconds", "version"}, ...]'

`trusted` is a file of authorities or a PEM text, empty for no check of who answers; `certificate`
and `key` are files to show, or empty; `request` is written as it stands, in hexadecimal digits.
Answers: {"answer": "answered" | "refused" | "silent" | "unreachable", "words", "version",
"status", "body"}. It stands alone: hosts run it with their own Python.
"""

import concurrent.futures
import json
import socket
import ssl
import sys

BODY_BYTES = 20_000


def context_of(wanted: dict) -> ssl.SSLContext:
    """How one service is met."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted = wanted.get("trusted", "")
    context.check_hostname = bool(trusted)
    context.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    if trusted:
        is_text = trusted.startswith("-----")
        context.load_verify_locations(**({"cadata": trusted} if is_text else {"cafile": trusted}))
    if wanted.get("certificate"):
        context.load_cert_chain(wanted["certificate"], wanted["key"])
    if wanted.get("version"):
        context.maximum_version = getattr(ssl.TLSVersion, wanted["version"])
    return context


def read_all(one: ssl.SSLSocket) -> bytes:
    """What comes until the other side has said it all."""
    said = b""
    while len(said) < BODY_BYTES and not is_whole(said):
        more = one.recv(4096)
        if not more:
            break
        said += more
    return said


def is_whole(said: bytes) -> bool:
    """Whether an HTTP answer is complete by its own length."""
    head, gap, body = said.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n") if gap else []:
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return False


def ask(wanted: dict) -> dict:
    """One answer."""
    where, seconds = (wanted["address"], wanted["port"]), wanted.get("seconds", 5)
    try:
        plain = socket.create_connection(where, seconds)
    except TimeoutError:
        return {"answer": "silent", "words": "nothing came back"}
    except OSError as error:
        return {"answer": "unreachable", "words": str(error)}
    try:
        with context_of(wanted).wrap_socket(
            plain, server_hostname=wanted.get("name") or None
        ) as one:
            one.sendall(bytes.fromhex(wanted.get("request", "")))
            said = read_all(one) if wanted.get("request") else b""
            version = one.version()
    except TimeoutError:
        return {"answer": "silent", "words": "it took the connection and said nothing"}
    except (ssl.SSLError, ConnectionError) as error:
        return {"answer": "refused", "words": str(error)}
    finally:
        plain.close()
    if wanted.get("request") and not said:
        return {"answer": "refused", "words": "it ended the connection without a word"}
    head, _, body = said.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].decode(errors="replace")
    status = int(words.split()[1]) if words.startswith("HTTP/") else 0
    return {
        "answer": "answered",
        "words": words,
        "version": version,
        "status": status,
        "body": body.decode(errors="replace"),
    }


def main() -> None:
    """Asks everything at once."""
    requests = json.loads(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(max(1, len(requests))) as pool:
        json.dump(list(pool.map(ask, requests)), sys.stdout)


main()
