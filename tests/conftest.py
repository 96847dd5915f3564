"""Nothing but a place: it puts this folder on the path, so that tests find `worlds.py`."""
