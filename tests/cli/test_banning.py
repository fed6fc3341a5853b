"""What `saraban ban` takes, and what it refuses before it looks for a gateway."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.instants import Span
from gateway.settings import Settings

SPAN = Span(timedelta(days=90))


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("1h", timedelta(hours=1)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_a_time_span_is_a_number_and_its_unit(written: str, length: timedelta) -> None:
    assert SPAN.convert(written, None, None) == length


@pytest.mark.parametrize(
    "written", ["", "1", "h", "0h", "-1h", "1.5h", "๑h", "1y", "1h30m", "91d", "9999999w"]
)
def test_what_is_no_time_span_or_too_long_is_named(written: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no time span such as|is longer than 90 days"):
        SPAN.convert(written, None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "--network", "0.0.0.0/0", "--for", "1h", "--reason", "x"), "is too wide"),
        (("add", "--network", "192.0.2.7/24", "--for", "1h", "--reason", "x"), "has host bits set"),
        (("add", "--network", "192.0.2.7", "--for", "1h"), "say why with --reason"),
        (("add", "--network", "192.0.2.7", "--for", "91d", "--reason", "x"), "longer than 90 days"),
        (("lift", "ban_x", "--yes"), "say why with --reason"),
    ],
)
def test_wrong_usage_is_told_at_once(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["ban", *words, "--data", str(tmp_path)])
    assert told.exit_code == 2
    assert said in " ".join(told.stderr.replace("│", " ").split())


def test_the_ports_to_close_are_those_we_listen_on() -> None:
    settings = Settings(
        listen_smtp="192.0.2.1:25",
        listen_submission="",
        listen_submissions="[2001:db8::1]:465",
        listen_imap="",
        listen_imaps="192.0.2.1:993",
        listen_pop3="",
        listen_pop3s="",
    )
    assert settings.mail_ports == [25, 465, 993]
    closed = dict.fromkeys((f.name for f in fields(Settings) if f.name.startswith("listen_")), "")
    assert Settings(**closed).mail_ports == (25, 110, 143, 465, 587, 993, 995)
