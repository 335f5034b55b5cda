"""Serials: 41 bits that are never handed out twice, leased in blocks of 1,024; the log follows their order.

shard (5) | block in the shard (26) | place in the block (10)
"""

SERIAL_BITS = 41
SHARD_BITS = 5
BLOCK_BITS = 10

CAPACITY = 1 << SERIAL_BITS
SHARDS = 1 << SHARD_BITS
SHARD_CAPACITY = CAPACITY // SHARDS
BLOCK_SIZE = 1 << BLOCK_BITS
BLOCKS_PER_SHARD = SHARD_CAPACITY // BLOCK_SIZE


def block_of(serial: int) -> int:
    """The id of the block of BLOCK_SIZE serials that ``serial`` belongs to."""
    return serial >> BLOCK_BITS


def first_serial(block: int) -> int:
    """The lowest serial of a block."""
    return block << BLOCK_BITS


def last_serial(block: int) -> int:
    """The highest serial of a block."""
    return (block + 1 << BLOCK_BITS) - 1


def first_block(shard: int) -> int:
    """The id of a shard's first block."""
    return shard * BLOCKS_PER_SHARD


def shard_of(serial: int) -> int:
    """The shard, 0 to 31, whose database may issue ``serial``."""
    return serial >> (SERIAL_BITS - SHARD_BITS)
