"""HTTP as a reader speaks it, over connections that are kept: a client of its own takes httpx 20 ms."""

import httpx

_CLIENT = httpx.Client(timeout=90)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """One request to a service of this machine; ``If_None_Match`` stands for the header If-None-Match."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return _CLIENT.request(method, f"http://127.0.0.1:{port}{path}", headers=given)


def ask_proof(port: int, number: str, method: str = "GET") -> httpx.Response:
    """One request for the proof of a number."""
    return ask(port, f"/v1/tracking-numbers/{number}/proof", method)


def readings(port: int, key: str) -> str:
    """What a scrape says, once the database has answered it within the two seconds that it has."""
    while True:
        answer = ask(port, "/metrics", Authorization=f"Bearer {key}")
        assert answer.status_code == 200, answer.text
        if "\ntracking_database_up 1.0\n" in answer.text:
            return answer.text


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and type of an answer that must be a problem document."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    document = response.json()
    assert document["status"] == response.status_code
    kind: str = document["type"]
    return response.status_code, kind.removeprefix("/problems/")
