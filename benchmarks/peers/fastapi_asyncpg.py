"""FastAPI on uvicorn, one prepared insert a request through an asyncpg pool."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg  # type: ignore[import-untyped]  # it has no stubs
import msgspec
from fastapi import FastAPI, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from benchmarks.peers import common

POOL_SIZE = int(os.environ.get("PEER_POOL", "16"))
_INSERT = """
    INSERT INTO issuance_event (number, serial, customer_tag, customer_key_id, origin, destination, weight_band,
                                order_created_at, requested_at, request_id)
    VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9)
"""
_encode = msgspec.json.Encoder().encode

Country = Annotated[str, AfterValidator(common.checked_country)]


class Order(BaseModel):
    """The seven parameters."""

    model_config = ConfigDict(extra="forbid")

    origin_country_id: Country
    destination_country_id: Country
    weight: Annotated[Decimal, Field(gt=0, le=1000, decimal_places=3)]
    created_at: Annotated[AwareDatetime, AfterValidator(common.checked_time)]
    customer_id: UUID
    customer_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    customer_slug: Annotated[str, StringConstraints(pattern=common.SLUG, max_length=200)]


async def _keep_as_is(connection: Any) -> None:
    """Leave out the pool's RESET, a second round trip a request: no request changes its session."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # max_size == min_size: no connection is opened while the load runs.
    async with asyncpg.create_pool(
        common.DATABASE_URL, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=_keep_as_is
    ) as pool:
        app.state.pool = pool
        yield


application = FastAPI(lifespan=_lifespan, openapi_url=None)


@application.get("/next-tracking-number")
async def next_tracking_number(order: Annotated[Order, Query()]) -> Response:
    """Issue one number."""
    number = common.new_number(order.origin_country_id, order.destination_country_id)
    now = datetime.now(UTC)
    await application.state.pool.execute(
        _INSERT,
        number,
        common.new_serial(),
        common.customer_tag(order.customer_id.bytes),
        order.origin_country_id,
        order.destination_country_id,
        common.weight_band(order.weight),
        order.created_at,
        now,
        uuid4(),
    )
    # A response made here skips FastAPI's serialisation of return values.
    return Response(_encode({"tracking_number": number, "created_at": now}), media_type="application/json")
