"""Clients that ask for one page again and again over connections that they keep."""

import http.client
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from bench.web.asked import Asked


def seconds_of(
    port: int, host: str, path: str, asked: Asked, cookies: Mapping[str, str], csrf: str, times: int
) -> list[float]:
    """What each request took, ``times`` of every client, from sending it to having all of its answer."""
    taken: list[float] = []
    failed: list[str] = []
    begin = threading.Barrier(asked.clients)
    sent = {
        **asked.headers,
        "Host": f"{host}:{port}",
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        **({} if asked.form is None else {"Content-Type": "application/x-www-form-urlencoded"}),
        "X-CSRFToken": csrf,
    }

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        begin.wait()
        for _ in range(times):
            body = None if asked.form is None else urlencode(asked.form())
            started = time.perf_counter()
            connection.request("GET" if body is None else "POST", path, body, sent)
            answer = connection.getresponse()
            read = answer.read()
            taken.append(time.perf_counter() - started)
            if answer.status != http.client.OK:
                failed.append(f"{path}: {answer.status} {read[:200]!r}")
                return
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(asked.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[0]
    return taken
