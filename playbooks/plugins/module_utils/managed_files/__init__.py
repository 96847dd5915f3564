"""The target's half of `managed_files`: Python's own library only, sent with the request."""
