"""Evidence to verdict to report; the one reader of ``policies/controls``."""
