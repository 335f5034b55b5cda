"""The floor: an ASGI application that answers a constant, as long as the service's answer is."""

from typing import Any

_BODY = (
    b'{"tracking_number":"3K9M7QX2PZ4MYIDT","created_at":"2026-11-22T21:23:38.635500Z","origin_country_id":"MY",'
    b'"destination_country_id":"ID","weight_band":4,"request_id":"019aadd2-1d2b-7c11-8a5e-3f0c6a6b8d10",'
    b'"leaf_hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",'
    b'"links":{"self":"/v1/tracking-numbers/3K9M7QX2PZ4MYIDT","proof":"/v1/tracking-numbers/3K9M7QX2PZ4MYIDT/proof"}}'
)
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())],
}
_END = {"type": "http.response.body", "body": _BODY}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI has three
    """Answer."""
    if scope["type"] != "http":
        return
    await send(_START)
    await send(_END)
