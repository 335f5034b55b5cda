"""Advisory locks that tell who lives: one per writer for as long as its session, and one around leasing."""

from core.session import Session, StatementError

LEASING = (0x4C45, 1)
"""PostgreSQL's (int4, int4) key of the lock around a lease; writer ids have the bigint keys to themselves."""

_LOCK_NOT_AVAILABLE = "55P03"
_HOLDERS = b"""
    SELECT pg_terminate_backend(pid) FROM pg_locks
     WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (classid::bigint, objid::bigint, objsubid) = ($1::bigint, $2::bigint, $3::int2)"""


async def try_writer(session: Session, writer: int) -> bool:
    """Take the lock of a writer id for as long as the session lives; False where another session has it."""
    async with session.turn:
        ((taken,),) = await session.execute(b"SELECT pg_try_advisory_lock($1::bigint)", [b"%d" % writer])
    return taken == b"t"


async def wait_until_writer_is_gone(session: Session, role: str, writer: int) -> None:
    """Return once the session of ``writer`` has ended, so that the outcome of its last batch is settled.

    PostgreSQL releases a session's locks after its last commit has become visible. A session that holds on for
    two seconds is ended: its process has given it up, and it may be waiting on a connection that is no more.
    """
    key = b"%d" % writer
    async with session.turn:
        await session.execute(b"SET lock_timeout = '2s'")
        while True:
            try:
                await session.execute(b"SELECT pg_advisory_lock($1::bigint)", [key])
            except StatementError as error:
                if error.sqlstate != _LOCK_NOT_AVAILABLE:
                    raise
                await _evict(session, role, writer >> 32, writer & 0xFFFFFFFF, 1)
            else:
                break
        await session.execute(b"SELECT pg_advisory_unlock($1::bigint)", [key])
        await session.execute(b"RESET lock_timeout")


async def try_leasing(session: Session) -> bool:
    """Take the lock around a lease; False where somebody else is leasing."""
    async with session.turn:
        ((taken,),) = await session.execute(b"SELECT pg_try_advisory_lock(%d, %d)" % LEASING)
    return taken == b"t"


async def end_leasing(session: Session) -> None:
    """Give the lock around a lease back."""
    async with session.turn:
        await session.execute(b"SELECT pg_advisory_unlock(%d, %d)" % LEASING)


async def evict_leasing(session: Session, role: str) -> None:
    """End the session that has leased for too long; the fence's compare-and-swap keeps it safe."""
    async with session.turn:
        await _evict(session, role, *LEASING, 2)


async def _evict(session: Session, role: str, high: int, low: int, kind: int) -> None:
    # Whoever may log in may end sessions of the same login, but the role that the session has taken on may not.
    await session.execute(b"RESET ROLE")
    await session.execute(_HOLDERS, [b"%d" % high, b"%d" % low, b"%d" % kind])
    await session.execute(b'SET ROLE "%s"' % role.encode())
