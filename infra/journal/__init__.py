"""One writer per environment, and the record of what ran."""

from infra.journal.journal import Journal, JournalEntry
from infra.journal.lock import held_by, hold_lock, lock_holder

__all__ = ["Journal", "JournalEntry", "held_by", "hold_lock", "lock_holder"]
