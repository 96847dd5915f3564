"""The command: a convenience over the stages, never a wall around them."""
