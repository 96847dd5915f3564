"""Declaration to machines to verified sites: the stages of the arrow, one folder each."""
