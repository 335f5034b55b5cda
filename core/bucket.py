"""Objects of an S3-compatible store: read, written and compared-and-swapped, in bounded time.

django-storages makes the connection, and says how an object is stored. Its own writes know no conditions and cost
twice the CPU, so objects go through the client below it (docs/adr/0021).
"""

import base64
import hashlib
import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import boto3  # type: ignore[import-untyped]  # no stubs are installed
import botocore.session  # type: ignore[import-untyped]  # no stubs are installed
from botocore.config import Config  # type: ignore[import-untyped]  # no stubs are installed
from botocore.exceptions import (  # type: ignore[import-untyped]  # no stubs are installed
    BotoCoreError,
    ClientError,
)
from storages.backends.s3 import S3Storage  # type: ignore[import-untyped]  # has no types

from core.env import Env, SettingsError

THREADS: Final = 8
"""Objects that are written at once."""
_FIRST_PAUSE: Final = 0.05
_PAGE: Final = 1000
"""Most objects that S3 deletes by one request."""
_TRY_AGAIN: Final = {408, 429}


class BucketError(Exception):
    """The store refuses, or can't do what is needed; the message says what to do."""


class BucketAwayError(BucketError):
    """The store does not answer, or is too busy: try again later."""


class Item(NamedTuple):
    """An object, and the tag that changes whenever it does."""

    content: bytes
    tag: str


class Timing(NamedTuple):
    """Seconds: for a connection, for a word of an answer, and until no further try is begun."""

    connect: float
    read: float
    patience: float


class Bucket:
    """The objects below ``s3://bucket/prefix``; any number of threads may use it."""

    def __init__(
        self, address: str, env: Env, timing: Timing, parameters: Callable[[str], Mapping[str, str]] = lambda _name: {}
    ) -> None:
        """Describe it; nothing is connected to yet.

        Args:
            address: `s3://bucket/prefix`; the prefix may be empty.
            env: has the store's address and the keys.
            timing: the last try may take ``connect`` and ``read`` seconds beyond the patience.
            parameters: what an object is stored with (`ContentType`, `CacheControl`), by its name.

        Raises:
            SettingsError: there is no key.
        """
        if env.aws_access_key_id is None or env.aws_secret_access_key is None:
            raise SettingsError(f"{address} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; see README.md.")
        self.address = address.rstrip("/")
        self._name, _, prefix = self.address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience = timing.patience
        self._parameters = parameters
        self._storage = _Storage(
            access_key=env.aws_access_key_id,
            secret_key=env.aws_secret_access_key,
            security_token=None,
            session_profile=None,
            bucket_name=self._name,
            region_name=env.aws_region,
            endpoint_url=env.aws_endpoint_url_s3,
            client_config=Config(
                connect_timeout=timing.connect,
                read_timeout=timing.read,
                retries={"total_max_attempts": 1},  # ours know what an answer that was lost may mean
                max_pool_connections=THREADS,
                signature_version="s3v4",
                s3={"addressing_style": env.aws_s3_addressing_style},
                ignore_configured_endpoint_urls=True,
                # A checksum in a trailer is more than some stores read; Content-MD5 all of them check.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        # One for all threads, which it may be: django-storages would make one for each, of 13 MB and 0.1 s.
        self._client: Any = self._storage.connection.meta.client
        self._conditional = False

    def __str__(self) -> str:
        return self.address

    def until(self) -> float:
        """The moment after which what begins now tries no more."""
        return time.monotonic() + self._patience

    def read(self, name: str, until: float | None = None) -> Item | None:
        """An object, or None where there is none.

        Raises:
            BucketError: it can't be read.
        """

        def read() -> Item | None:
            try:
                found = self._client.get_object(**self._at(name))
            except ClientError as error:
                if _code(error) == "NoSuchKey":
                    return None
                raise
            return Item(found["Body"].read(), found["ETag"])

        return self._try(read, until)

    def write(self, name: str, content: bytes, until: float | None = None) -> None:
        """Write an object whose name says what it holds: to write it twice, or late, changes nothing.

        Raises:
            BucketError: it may or may not be there.
        """
        self._try(lambda: self._put(name, content), until)

    def swap(self, name: str, before: str | None, content: bytes) -> str | None:
        """Put ``content`` where the object with the tag ``before`` is (None: nothing yet); a compare-and-swap.

        An answer that was lost does not matter: whoever finds the very content there has put it, if no two write the
        same. Nor does a write that comes late, since its condition has become false.

        Returns:
            The new tag; None where something else is there.

        Raises:
            BucketError: it may or may not be there.
        """
        self.require_conditions()
        until = self.until()
        while True:
            try:
                return self._put(name, content, **_condition(before))
            except (ClientError, BotoCoreError) as error:
                if not (_passing(error) or _status(error) in {404, 409, 412}):
                    raise self._error(error) from error
                failure = error
            found = self.read(name, until)
            if found is not None and found.content == content:
                return found.tag
            if (None if found is None else found.tag) != before:
                return None
            self._pause(_FIRST_PAUSE, failure, until)

    def require_conditions(self) -> None:
        """Make sure, once, that the store heeds conditions: one that ignored them would swap without comparing.

        Raises:
            BucketError: it doesn't, or can't be asked.
        """
        if self._conditional:
            return
        name = f"private/probe-{secrets.token_hex(8)}"
        self._try(lambda: self._put(name, b"1"))
        try:
            for condition in (_condition(None), _condition('"00000000000000000000000000000000"')):
                if not self._try(lambda condition=condition: self._is_refused(name, condition)):  # type: ignore[misc]
                    raise BucketError(
                        f"The store of {self} has no conditional writes (If-None-Match, If-Match), so it can't tell "
                        "whether somebody else writes. Choose another store: FENCE may be redis://…, and PUBLICATION "
                        "a folder."
                    )
        finally:
            self.remove([name])
        self._conditional = True

    def names(self, prefix: str) -> list[str]:
        """The names that begin with ``prefix``; raises BucketError as ``read`` does."""

        def read() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._name, Prefix=self._prefix + prefix
            )
            return [each["Key"][len(self._prefix) :] for page in pages for each in page.get("Contents", ())]

        return self._try(read)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, as far as that can be done; one that stays must do no harm."""
        keys = [{"Key": self._prefix + name} for name in names]
        for begin in range(0, len(keys), _PAGE):
            try:
                self._client.delete_objects(
                    Bucket=self._name, Delete={"Objects": keys[begin : begin + _PAGE], "Quiet": True}
                )
            except (ClientError, BotoCoreError):
                return

    def _is_refused(self, name: str, condition: Mapping[str, str]) -> bool:
        try:
            self._put(name, b"2", **condition)
        except ClientError as error:
            if _status(error) in {412, 501}:
                return _status(error) == 412  # noqa: PLR2004  # Precondition Failed; 501: Not Implemented
            raise
        return False

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._name, "Key": self._prefix + name}

    def _put(self, name: str, content: bytes, **condition: str) -> str:
        checksum = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        done = self._client.put_object(
            **self._at(name), Body=content, ContentMD5=checksum, **self._parameters(name), **condition
        )
        tag: str = done["ETag"]
        return tag

    def _try[T](self, call: Callable[[], T], until: float | None = None) -> T:
        """Call until it goes through, or what it fails with does not pass, or time is up."""
        until = self.until() if until is None else until
        pause = _FIRST_PAUSE
        while True:
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                if not _passing(error):
                    raise self._error(error) from error
                failure = error
            self._pause(pause, failure, until)
            pause *= 2

    def _pause(self, seconds: float, failure: Exception, until: float) -> None:
        """Wait a little before the next try; raises BucketError where there is no time for one."""
        seconds *= random.uniform(0.5, 1.5)  # noqa: S311  # spreads tries, hides nothing
        if time.monotonic() + seconds > until:
            raise self._error(failure) from failure
        time.sleep(seconds)

    def _error(self, error: Exception) -> BucketError:
        """The error as a sentence: the library's own name the object's address, and some hold a query."""
        if not isinstance(error, ClientError):
            return BucketAwayError(
                f"The store of {self} does not answer ({type(error).__name__}). Look at AWS_ENDPOINT_URL_S3 and the "
                "network."
            )
        reason = f"{_status(error)} {_code(error)}"
        if _passing(error):
            return BucketAwayError(f"The store of {self} is in trouble ({reason}).")
        return BucketError(
            f"The store of {self} refuses ({reason}). Look at the bucket, at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
            "and AWS_REGION, and at what the key may do there."
        )


class _Storage(S3Storage):  # type: ignore[misc]  # has no types
    """The connection, from our settings alone."""

    def _create_session(self) -> Any:
        """Look at no file of the user's (~/.aws), which would change what a process does by who runs it."""
        nothing = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
        session = botocore.session.Session({"profile": (None, None, None, None)} | nothing)
        return boto3.Session(self.access_key, self.secret_key, botocore_session=session)


def _condition(before: str | None) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if before is None else {"IfMatch": before}


def _status(error: Exception) -> int:
    if not isinstance(error, ClientError):
        return 0
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _passing(error: Exception) -> bool:
    """Whether another try may help: nothing was answered, or the store says that it is its own fault."""
    status = _status(error)
    return not isinstance(error, ClientError) or status in _TRY_AGAIN or (status >= 500 and status != 501)  # noqa: PLR2004
