import pytest

from ringledger.domain.disposition import Disposition, disposition_of

RESULTS = [
    ("Accepted", "answered"),
    ("Call connected", "answered"),
    ("Voicemail", "voicemail"),
    ("Sent to Voicemail", "voicemail"),
    ("Missed", "missed"),
    ("No Answer", "no_answer"),
    ("Busy", "busy"),
    ("Rejected", "declined"),
    ("Declined", "declined"),
    ("Hang Up", "abandoned"),
    ("Abandoned", "abandoned"),
    ("Answered Elsewhere", "answered_elsewhere"),
    ("Blocked", "blocked"),
    ("Wrong Number", "failed"),
    ("Internal Error", "failed"),
    ("International Disabled", "failed"),
]


@pytest.mark.parametrize(("result", "disposition"), RESULTS)
@pytest.mark.parametrize("written", [str, str.lower, str.upper, lambda text: f" {text} "])
def test_every_word_of_the_platform_has_its_disposition(result: str, disposition: str, written: type[str]) -> None:
    assert disposition_of(written(result)) is Disposition(disposition)
