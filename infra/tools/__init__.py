"""What the stages share: the cache, the tools that are built, and what the machine must have."""
