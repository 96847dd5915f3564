"""The words of verification: outcomes, scopes and states, each said in both languages.

Outcomes are those of the architecture: only ``proved`` is a pass. The order in which outcomes
combine is the one rule that this file owns; whoever rolls something up asks :func:`worst`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Words:
    """One thing said in Vietnamese and in English."""

    vi: str
    en: str


class Outcome(StrEnum):
    """What became of one check."""

    PROVED = "proved"
    """The requirement was asked of the running system, or of the model, and holds."""

    FAILED = "failed"
    """It was asked and does not hold."""

    COULD_NOT_CHECK = "could_not_check"
    """It could not be asked, or the answer was lost; never a pass."""

    NOT_SHOWN = "not_shown"
    """It applies, but this lab cannot show it; anywhere else that is ``could_not_check``."""

    NOT_APPLICABLE = "not_applicable"
    """It does not apply here, or is not due yet."""


class Scope(StrEnum):
    """What a control speaks about, and so what one check of it looks at."""

    PROVINCE = "province"
    SITE = "site"
    HOST = "host"


class Status(StrEnum):
    """How far the catalogue says that a control is proved."""

    AUTOMATED = "automated"
    PARTLY_AUTOMATED = "partly_automated"
    MANUAL = "manual"
    NOT_YET = "not_yet"


class Knowledge(StrEnum):
    """How the clause of a source is known to whoever wrote the record."""

    READ = "read"
    PARAPHRASE = "paraphrase"
    RECALLED = "recalled"


class Edition(StrEnum):
    """To which set of rules a document belongs."""

    BASELINE_2017 = "baseline_2017"
    CURRENT_2026 = "current_2026"
    STANDARD = "standard"
    PROPOSAL = "proposal"


WORST_FIRST: tuple[Outcome, ...] = (
    Outcome.FAILED,
    Outcome.COULD_NOT_CHECK,
    Outcome.NOT_SHOWN,
    Outcome.PROVED,
    Outcome.NOT_APPLICABLE,
)
"""How outcomes combine. What does not apply takes nothing away from what was proved beside it."""

OUTCOME_WORDS: dict[Outcome, Words] = {
    Outcome.PROVED: Words("Đã chứng minh", "Proved"),
    Outcome.FAILED: Words("Không đạt", "Failed"),
    Outcome.COULD_NOT_CHECK: Words("Không kiểm tra được", "Could not check"),
    Outcome.NOT_SHOWN: Words("Chưa thể hiện được", "Not shown"),
    Outcome.NOT_APPLICABLE: Words("Không áp dụng", "Not applicable"),
}

OUTCOME_MEANINGS: dict[Outcome, Words] = {
    Outcome.PROVED: Words(
        "Đã hỏi hệ thống đang chạy hoặc mô hình, và yêu cầu được đáp ứng.",
        "Asked of the running system or the model, and it holds.",
    ),
    Outcome.FAILED: Words(
        "Đã kiểm tra và yêu cầu không được đáp ứng.",
        "Asked, and it does not hold.",
    ),
    Outcome.COULD_NOT_CHECK: Words(
        "Không kiểm tra được hoặc mất kết quả; không được coi là đạt.",
        "Could not be asked, or the answer was lost; never a pass.",
    ),
    Outcome.NOT_SHOWN: Words(
        "Yêu cầu có áp dụng nhưng môi trường thử nghiệm không thể hiện được.",
        "It applies, but the lab cannot show it.",
    ),
    Outcome.NOT_APPLICABLE: Words(
        "Không áp dụng cho đối tượng này, hoặc chưa đến hạn.",
        "Does not apply to this target, or is not due yet.",
    ),
}

STATUS_WORDS: dict[Status, Words] = {
    Status.AUTOMATED: Words("Kiểm tra tự động", "Automated"),
    Status.PARTLY_AUTOMATED: Words("Tự động một phần", "Partly automated"),
    Status.MANUAL: Words("Kiểm tra thủ công", "Manual"),
    Status.NOT_YET: Words("Chưa có kiểm tra", "Not yet"),
}

KNOWLEDGE_WORDS: dict[Knowledge, Words] = {
    Knowledge.READ: Words("đã đọc", "read"),
    Knowledge.PARAPHRASE: Words("qua bản diễn giải", "paraphrase"),
    Knowledge.RECALLED: Words("theo trí nhớ", "recalled"),
}

EDITION_WORDS: dict[Edition, Words] = {
    Edition.BASELINE_2017: Words("Giai đoạn 2017–2026", "2017 baseline"),
    Edition.CURRENT_2026: Words("Hiện hành từ 2026", "current since 2026"),
    Edition.STANDARD: Words("Tiêu chuẩn kỹ thuật", "technical standard"),
    Edition.PROPOSAL: Words("Đề xuất thiết kế", "design proposal"),
}


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Answer the outcome that stands for all of them; nothing at all could not be checked.

    >>> worst([Outcome.PROVED, Outcome.NOT_APPLICABLE])
    <Outcome.PROVED: 'proved'>
    """
    seen = set(outcomes)
    return next((outcome for outcome in WORST_FIRST if outcome in seen), Outcome.COULD_NOT_CHECK)
