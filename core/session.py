"""One PostgreSQL session for asyncio, straight on libpq: what the writer commits through.

psycopg connects; from there on its documented libpq layer (``psycopg.pq``) is used directly, since a batch
costs 25 us a row through its cursors and 5 us without them (docs/adr/0005).
"""

import asyncio
import contextlib
import select
from collections.abc import Sequence

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

OPTIONS = {
    "application_name": "tracking-writer",
    "connect_timeout": "5",
    # A peer that vanished without a word is noticed in seconds, by both ends.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
SERVER_OPTIONS = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000"
    " -c client_connection_check_interval=2000"
)
PATIENCE = 30.0
"""Seconds without a word from the server after which a session is given up."""
POOLED = (
    "leads through a pooler: another session would have our locks, and an order of commits that is not ours. "
    "Give PostgreSQL's own address."
)
"""What is wrong with a setting whose session is not the server's own; a pooler makes up its process id."""
SILENT = f"no word from the server for {PATIENCE:.0f} seconds"
_OK = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COPY_IN)


class SessionLostError(Exception):
    """The session is gone, or its word can't be relied on: the outcome of its last statement is unknown."""


class StatementError(Exception):
    """The server refused a statement and rolled it back.

    Attributes:
        sqlstate: five characters, PostgreSQL appendix A.
        constraint: the violated constraint, or an empty string.
    """

    def __init__(self, sqlstate: str, message: str, constraint: str) -> None:
        super().__init__(f"{sqlstate} {message}")
        self.sqlstate = sqlstate
        self.constraint = constraint


class Session:
    """A session in autocommit; statements of several tasks take turns by ``async with session.turn``."""

    def __init__(self, connection: "psycopg.AsyncConnection[object]") -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._fd = self._pg.socket
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._waiter: asyncio.Future[None] | None = None
        self._warnings: list[str] = []
        self.turn = asyncio.Lock()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done as soon as the connection is known to be broken."""
        self._pg.notice_handler = self._on_notice
        # The reader stays registered: a batch then needs no epoll_ctl, and a cut is noticed between batches too.
        self._loop.add_reader(self._fd, self._on_readable)

    @property
    def backend_pid(self) -> int:
        """The process id that the server told at the start; a pooler tells one of its own."""
        return self._pg.backend_pid

    @classmethod
    async def connect(cls, url: str, role: str) -> "Session":
        """Log in, and take on ``role``.

        Raises:
            psycopg.Error: no connection, or the login may not take the role.
            TimeoutError: no word from the server.
        """
        given = conninfo_to_dict(url)
        options = f"{given.get('options') or ''} {SERVER_OPTIONS}"
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo(url, **(OPTIONS | {"options": options})), autocommit=True
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        except BaseException:
            await connection.close()
            raise
        return cls(connection)

    async def execute(
        self, statement: bytes, parameters: Sequence[bytes | None] = ()
    ) -> list[tuple[bytes | None, ...]]:
        """Run one statement with parameters in text form; rows come back in text form.

        Raises:
            StatementError: refused, and rolled back.
            SessionLostError: outcome unknown.
        """
        self._send(statement, parameters)
        result = await self._outcome()
        return [
            tuple(result.get_value(row, column) for column in range(result.nfields)) for row in range(result.ntuples)
        ]

    async def copy(self, statement: bytes, data: bytes) -> None:
        """Run one ``COPY … FROM STDIN`` with all its data; raises as ``execute`` does."""
        self._send(statement, ())
        await self._result()
        try:
            self._pg.put_copy_data(data)
            self._pg.put_copy_end()
        except psycopg.Error as error:
            raise self._broken(str(error)) from error
        await self._outcome()

    def close(self) -> None:
        """End the session at once; whatever it had open is rolled back by the server."""
        if not self.lost.done():
            self._broken("closed")

    def _send(self, statement: bytes, parameters: Sequence[bytes | None]) -> None:
        if self.lost.done():
            raise SessionLostError("the session is closed")
        self._warnings.clear()
        try:
            if parameters:
                self._pg.send_query_params(statement, parameters)
            else:
                self._pg.send_query(statement)
        except psycopg.Error as error:
            raise self._broken(str(error)) from error

    async def _outcome(self) -> pq.abc.PGresult:
        """The statement's result, once the server says that it is ready for the next."""
        result = await self._result()
        while await self._next() is not None:
            pass
        if self._warnings:
            # A commit whose wait for the standby was cancelled succeeds with a warning (01000): not durable there yet.
            raise self._broken("; ".join(self._warnings))
        return result

    async def _result(self) -> pq.abc.PGresult:
        result = await self._next()
        if result is None:
            raise self._broken("no result")
        if result.status in _OK:
            return result
        message = result.get_error_message()
        sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
        if severity != b"ERROR" or not sqlstate or self._pg.status != pq.ConnStatus.OK:
            raise self._broken(message)
        while await self._next() is not None:
            pass
        constraint = (result.error_field(pq.DiagnosticField.CONSTRAINT_NAME) or b"").decode()
        primary = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
        raise StatementError(sqlstate, primary, constraint)

    async def _next(self) -> pq.abc.PGresult | None:
        try:
            while self._pg.flush():
                await self._writable()
            while self._pg.is_busy():
                await self._readable()
            return self._pg.get_result()
        except psycopg.Error as error:
            raise self._broken(str(error)) from error

    async def _readable(self) -> None:
        if self.lost.done():
            raise SessionLostError("the session is closed")
        self._waiter = self._loop.create_future()
        patience = self._loop.call_later(PATIENCE, self._broken, SILENT)
        try:
            await self._waiter
        except asyncio.CancelledError:
            self._broken("the waiting task was cancelled")
            raise
        finally:
            patience.cancel()
            self._waiter = None

    async def _writable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(self._fd, lambda: None if ready.done() else ready.set_result(None))
        try:
            await asyncio.wait((ready, self.lost), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._loop.remove_writer(self._fd)
        if self.lost.done():
            raise SessionLostError("the session is closed")
        if not ready.done():
            raise self._broken(SILENT)

    def _on_readable(self) -> None:
        try:
            self._pg.consume_input()
            # Up to an error that stands behind what was read: libuv, having told of one, forgets the socket (uv_poll).
            while self._poll.poll(0):
                self._pg.consume_input()
        except psycopg.Error as error:
            self._broken(str(error))
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_notice(self, result: pq.abc.PGresult) -> None:
        if result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) == b"WARNING":
            self._warnings.append(
                (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode(errors="replace")
            )

    def _broken(self, reason: str) -> SessionLostError:
        """Close what is left, wake whoever waits, and return the error to raise."""
        if not self.lost.done():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            with contextlib.suppress(psycopg.Error):
                self._pg.finish()
            self.lost.set_result(None)
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(SessionLostError(reason))
        return SessionLostError(reason.strip())
