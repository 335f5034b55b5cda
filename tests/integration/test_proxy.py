"""deploy/haproxy.cfg under HAProxy itself: what it sends twice, what it never does, and what it adds."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from core import problems
from tests.plugin import ROOT
from tests.support.clients.orders import PATH, query
from tests.support.clients.raw_http import Reply, exchange, raw_request
from tests.support.processes.haproxy import SHIPPED, YES, Balancer, Upstream
from tests.support.processes.proc import eventually

ISSUE = raw_request(query())
ONCE = {
    "issuing": ISSUE,
    "issuing, with a slash": raw_request(query(), path=f"{PATH}/".encode()),
    "issuing, written otherwise": raw_request(query(), path=b"/next%2Dtracking-number"),
    "in bulk": raw_request(
        b"", method=b"POST", path=b"/v1/tracking-numbers", headers=(b"Content-Length: 2",), body=b"[]"
    ),
    "the console": raw_request(b"", path=b"/console/"),
}
READ = raw_request(b"", path=b"/v1/tracking-numbers/3K9M7QX2PZ4MYIDT")


class Front(Protocol):
    """What the fixture `front` gives: the port of the shipped proxy in front of some upstreams."""

    def __call__(self, *upstreams: Upstream, **settings: str) -> AbstractContextManager[int]: ...


@pytest.fixture
def front(tool: Callable[[str, str], Path], tmp_path: Path) -> Front:
    @contextmanager
    def start(*upstreams: Upstream, **settings: str) -> Iterator[int]:
        ports = [each.port for each in upstreams]
        with Balancer(tool("haproxy", "haproxy"), tmp_path, ports, **settings) as balancer:
            yield balancer.port

    return start


@pytest.mark.parametrize("request_", ONCE.values(), ids=ONCE)
def test_what_was_sent_is_never_sent_again(request_: bytes, front: Front) -> None:
    with Upstream(None) as one, Upstream(None) as another, front(one, another) as port:
        reply = exchange(port, request_)
    assert problem(reply) == (502, "about:blank")
    assert len(one.heads + another.heads) == 1


def test_a_request_that_is_not_answered_in_time_is_not_sent_again(front: Front) -> None:
    with Upstream() as one, Upstream() as another, front(one, another, ANSWER_TIMEOUT="1s") as port:
        reply = exchange(port, ISSUE)
        assert eventually(lambda: bool(one.heads + another.heads)), "a busy machine may read it only now"
    assert problem(reply) == (504, "about:blank")
    assert len(one.heads + another.heads) == 1


def test_a_read_that_broke_off_is_sent_again(front: Front) -> None:
    with Upstream(None, YES) as one, front(one) as port:
        assert exchange(port, READ).status == 200
    assert len(one.heads) == 2


def test_whoever_refuses_connections_is_passed_over(front: Front) -> None:
    with Upstream(YES) as one, Upstream(YES) as another, front(one, another) as port:
        another.stop()  # a moment later the health check knows, too
        assert [exchange(port, ISSUE).status for _ in range(8)] == [200] * 8
    assert len(one.heads) == 8
    assert not another.heads


def test_where_nobody_takes_connections_the_answer_says_when_to_come_again(front: Front) -> None:
    with Upstream(YES) as one, front(one) as port:
        one.stop()
        reply = exchange(port, ISSUE)
    assert problem(reply) == (503, "about:blank")
    assert reply.headers["retry-after"] == "1"


def test_whom_a_request_comes_from_is_what_the_proxy_saw_and_its_id_passes(front: Front) -> None:
    lies = (b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https", b"x-forwarded-for: 192.0.2.2")
    named = b"X-Request-ID: 01a205c5-3c48-7602-8000-0d0f0d63fe9d"
    with Upstream(YES) as one, front(one) as port:
        exchange(port, raw_request(query(), headers=(*lies, named)))
    lines = one.heads[0].lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"x-forwarded")] == [
        b"x-forwarded-for: 127.0.0.1",
        b"x-forwarded-proto: http",
    ]
    assert named.lower() in lines


def test_behind_another_proxy_its_word_is_kept_and_its_address_added(front: Front) -> None:
    word = (b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https")
    with Upstream(YES) as one, front(one, BEHIND_PROXY="1") as port:
        exchange(port, raw_request(query(), headers=word))
    lines = one.heads[0].lower().split(b"\r\n")
    assert b"x-forwarded-proto: https" in lines
    forwarded = [line.partition(b": ")[2] for line in lines if line.startswith(b"x-forwarded-for")]
    assert b",".join(forwarded) == b"192.0.2.1,127.0.0.1"


def test_limits_are_the_services_and_nothing_tells_what_serves(front: Front) -> None:
    large = YES.replace(b"\r\n\r\n", b"\r\nServer: something\r\n\r\n", 1)
    with Upstream(large) as one, front(one) as port:
        reply = exchange(port, raw_request(query(), headers=(b"Cookie: " + b"x" * 32_000, b"Accept-Encoding: gzip")))
        assert (reply.status, reply.body) == (200, b"yes")
        assert not {"server", "via", "content-encoding"} & reply.headers.keys()
        announced = (b"Content-Length: 16777217",)
        refused = exchange(port, raw_request(b"", method=b"POST", path=b"/v1/tracking-numbers", headers=announced))
        assert problem(refused) == (413, "/problems/body-too-large")
        assert exchange(port, b"not HTTP\r\n\r\n").status == 400
    assert len(one.heads) == 1


def test_what_the_proxy_answers_itself_is_worded_as_the_service_words_it() -> None:
    ours = {problem.type: problem for problem in problems.ALL}
    found = re.findall(r"http-error status (\d+) content-type (\S+) string '(.+)' hdr", SHIPPED.read_text())
    assert {int(status) for status, _, _ in found} == {413, 500, 502, 503, 504}
    for status, media_type, body in found:
        document = json.loads(body)
        assert media_type == problems.CONTENT_TYPE
        assert document["status"] == int(status)
        if document["type"] != "about:blank":
            known = ours[document["type"]]
            assert (document["status"], document["title"], document["detail"]) == known[1:]


@pytest.mark.parametrize("given", [{}, {"BEHIND_PROXY": "1"}, {"TLS_CERTIFICATE": "both.pem"}])
def test_the_files_that_ship_fit_together(
    given: dict[str, str], tool: Callable[[str, str], Path], tmp_path: Path
) -> None:
    make = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out chain.pem"
    subprocess.run([str(tool("openssl", "openssl")), *make.split()], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "both.pem").write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("chain.pem", "key.pem")))
    files = ("-f", str(SHIPPED), "-f", str(ROOT / "deploy" / "haproxy-dns.cfg"))
    command = [str(tool("haproxy", "haproxy")), "-c", *files]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "warning" not in done.stdout.lower()


def problem(reply: Reply) -> tuple[int, str]:
    assert reply.headers["content-type"] == problems.CONTENT_TYPE
    assert reply.headers["cache-control"] == "no-store"
    assert reply.document["status"] == reply.status
    return reply.status, reply.document["type"]
