"""Commands of the allocator."""
