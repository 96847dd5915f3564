"""What may be asked at the same time: a queue for each host, and one for what could disturb."""

import pytest
from queues import TOGETHER, queue_of

FOLDER = "tests/compliance"


@pytest.mark.parametrize(
    ("node_id", "queue"),
    [
        ("test_access.py::test_root_is_refused[ssh://svc1-70]", "svc1-70"),
        ("test_access.py::test_root_is_refused[ssh://edge1-25280]", "edge1-25280"),
        ("test_network.py::test_declared_expectations_hold[70]", TOGETHER),
        ("test_integration.py::test_zones_meet_their_own_applications_only", TOGETHER),
        ("test_publishing.py::test_one_source_is_limited_and_no_other[ssh://pub1-70]", TOGETHER),
    ],
)
def test_a_question_stands_in_the_queue_of_whom_it_asks(node_id: str, queue: str) -> None:
    assert queue_of(f"{FOLDER}/{node_id}") == queue
