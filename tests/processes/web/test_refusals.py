"""What the API says to who is not let in."""

import pytest

from gateway.domain.signin import Refusal
from gateway.processes.signin.signin import ClaimRefused
from gateway.processes.web.signing_in import refusal


@pytest.mark.parametrize(
    ("reason", "status"),
    [("throttled", 429), ("suspended", 403), ("banned", 403), ("password", 401), ("unknown", 401)],
)
def test_a_refusal_has_its_status(reason: Refusal, status: int) -> None:
    assert refusal(ClaimRefused(reason)).status == status
