"""The same promise kept by other stacks, written the way their users write them, and tuned."""
