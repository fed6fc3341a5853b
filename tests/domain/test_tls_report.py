"""The report of a day, as RFC 8460 §4.4 writes it."""

from datetime import UTC, date, datetime

from gateway.domain.events import Actor, By
from gateway.domain.tls_report import TlsSessions, TlsSessionsCounted, report, tls_history

DAY = date(2016, 4, 1)


def counted(*counts: TlsSessions) -> TlsSessionsCounted:
    at = datetime(2016, 4, 1, 12, tzinfo=UTC)
    return TlsSessionsCounted(
        at=at, actor=Actor("system", "relay"), by=By("relay", "1", "d"), since=at, counts=counts
    )


def test_the_example_of_the_rfc() -> None:
    """RFC 8460 appendix B, without what we do not tell."""
    domain, mx = "company-y.example", "mx1.mail.company-y.example"
    events = [
        counted(
            TlsSessions(domain, mx, "sts", 5_326),
            TlsSessions(domain, mx, "sts", 60, "certificate-expired"),
            TlsSessions(domain, "mx2.mail.company-y.example", "sts", 200, "starttls-not-supported"),
        ),
        counted(
            TlsSessions(domain, mx, "sts", 40, "certificate-expired"),
            TlsSessions(domain, "mx-backup.mail.company-y.example", "sts", 3, "validation-failure"),
        ),
    ]
    (made,) = report(events, DAY, organisation="company-x.example", contact="sts@company-x.example")
    assert made == {
        "organization-name": "company-x.example",
        "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
        "contact-info": "sts@company-x.example",
        "report-id": "2016-04-01.company-y.example@company-x.example",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": domain},
                "summary": {
                    "total-successful-session-count": 5_326,
                    "total-failure-session-count": 303,
                },
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "receiving-mx-hostname": mx,
                        "failed-session-count": 100,
                    },
                    {
                        "result-type": "starttls-not-supported",
                        "receiving-mx-hostname": "mx2.mail.company-y.example",
                        "failed-session-count": 200,
                    },
                    {
                        "result-type": "validation-failure",
                        "receiving-mx-hostname": "mx-backup.mail.company-y.example",
                        "failed-session-count": 3,
                    },
                ],
            }
        ],
    }


def test_a_domain_has_one_report_and_a_policy_for_each_word() -> None:
    counts = [
        TlsSessions("b.example", "mx.b.example", "dane", 1),
        TlsSessions("b.example", "mx.b.example", "nobody", 2),
        TlsSessions("b.example", "mx.b.example", "agency", 3, "own-certificate-invalid"),
        TlsSessions("a.example", "mx.a.example", "sender", 4),
    ]
    first, second = report([counted(*counts)], DAY, organisation="x", contact="y")
    assert [each["policy"]["policy-domain"] for each in first["policies"]] == ["a.example"]
    none, tlsa = second["policies"]
    assert (none["policy"]["policy-type"], tlsa["policy"]["policy-type"]) == ("no-policy-found", "tlsa")
    assert none["summary"] == {"total-successful-session-count": 2, "total-failure-session-count": 3}
    assert [failed["result-type"] for failed in none["failure-details"]] == ["validation-failure"]


def test_a_day_has_a_history_of_its_own() -> None:
    assert tls_history(DAY) == "tls.20160401"
