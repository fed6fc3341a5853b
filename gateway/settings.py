"""Every setting of the gateway: its name, meaning, default and where the default comes from.

Read once, from the environment (`SARABAN_` + name in capitals) and from `saraban.toml` in the data folder;
the environment wins. An unknown name or a wrong value stops the process with name, value and expectation.
"""

import difflib
import hashlib
import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_type_hints
from urllib.parse import urlsplit

PREFIX: Final = "SARABAN_"
FILE: Final = "saraban.toml"
# Read by others: the hand-shake with the supervisor (processes/readiness.py), tests/sizes.py.
NOT_SETTINGS: Final = frozenset({"SARABAN_READY_FD", "SARABAN_TEST_SIZE"})
# How alike a name is to the setting that may be meant: RECIPIENT_MAX is, LISTEN_SIEVE is no LISTEN_SMTP.
NEAR: Final = 0.85
# RFC 5321, RFC 1939, RFC 9051 §2.1, RFC 8314 §3.3, RFC 6409 §3.1, RFC 8314 §3.2 and §3.3.
MAIL_PORTS: Final = (25, 110, 143, 465, 587, 993, 995)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # what every S3 takes


class SettingsError(Exception):
    """A setting is unknown or wrong. The text names it, shows its value and says what is expected."""


def _address(default: str) -> Any:
    return field(default=default, metadata={"kind": "address"})


def _number(default: int, low: int, high: int) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _one_of(default: str, *choices: str) -> Any:
    return field(default=default, metadata={"choices": choices})


def _url(*schemes: str, secret: bool = False) -> Any:
    return field(default="", repr=not secret, metadata={"schemes": schemes})


def _secret() -> Any:
    return field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Empty text means: the embedded one, or none."""

    # --- this site ---
    data: Path = Path("var")
    hostname: str = "mail.saraban.example"  # how we greet, and the name in Received
    demo: bool = False  # mail never leaves this machine
    demo_next_hop: str = field(
        default="", metadata={"kind": "address"}
    )  # where the demo's third agency listens
    log_level: str = _one_of("info", "debug", "info", "warning", "error")

    # --- the three servers; empty: `up` starts its own ---
    nats_url: str = _url("nats", "tls", secret=True)
    nats_monitor_url: str = _url("http", "https")  # shows whether it syncs before it acknowledges
    postgres_dsn: str = _url("postgresql", "postgres", secret=True)
    s3_endpoint: str = field(default="", metadata={"kind": "address"})
    s3_access_key: str = ""
    s3_secret_key: str = _secret()
    s3_secure: bool = False
    s3_bucket: str = field(default="saraban-onsite", metadata={"kind": "bucket"})
    master_key_file: Path | None = None  # None: secrets/master.key in the data folder

    # --- where we listen: host:port; empty: not at all ---
    listen_smtp: str = _address("127.0.0.1:2525")
    listen_submission: str = _address("127.0.0.1:2587")
    listen_submissions: str = _address("127.0.0.1:2465")
    listen_imap: str = _address("127.0.0.1:2143")
    listen_imaps: str = _address("127.0.0.1:2993")
    listen_pop3: str = _address("127.0.0.1:2110")
    listen_pop3s: str = _address("127.0.0.1:2995")
    listen_http: str = _address("127.0.0.1:8025")  # health, metrics; administration from this machine alone
    listen_https: str = _address("127.0.0.1:8443")  # administration, from anywhere
    # What browsers reach listen_https by, such as https://mail.example.org: people come back there from their
    # agency's identity provider. Empty: at the account page everybody signs in by password.
    public_url: str = _url("https", "http")
    tls_cert: Path | None = None  # None: self-made, in the data folder
    tls_key: Path | None = None
    # Certificates for clients that ask for their names (RFC 6066 §3): *.pem, each with chain and key.
    tls_folder: Path | None = None
    # Networks of proxies in front of the listeners for mail: each connection from there has to begin with a
    # PROXY header that names its client; from anywhere else the header is a bad command. Precedents: Postfix
    # smtpd_upstream_proxy_protocol, Dovecot haproxy_trusted_networks.
    proxy_networks: str = field(default="", metadata={"kind": "networks"})

    # --- what is taken in ---
    # 25 MB of attachments after base64 and headers. Precedents: Postfix 10 MB, chasquid 50 MB, mox 100 MiB.
    message_octets_max: int = _number(36 * 1024 * 1024, 64 * 1024, 1024 * 1024 * 1024)
    # RFC 5321 §4.5.3.1.8 asks for at least 100. Precedent: Postfix smtpd_recipient_limit 1000.
    recipients_max: int = _number(1000, 100, 1000)
    # An envelope becomes one event, and events stay small (architecture.md §4, limits).
    envelope_octets_max: int = _number(128 * 1024, 16 * 1024, 128 * 1024)
    # RFC 5321 §4.5.3.2.7 asks for at least 5 minutes. Precedent: Postfix 300 s, 10 s under stress.
    smtp_idle_timeout_s: int = _number(300, 1, 3600)
    # However slowly a client talks, its place is free again after this. 36 MiB at 50 kbit/s take 1 h 40.
    # Precedent: Exchange ConnectionTimeout 10 min. 0: as long as it likes.
    smtp_session_max_s: int = _number(7200, 0, 86_400)
    # Connections at once of one listener at one edge process: a flood from everywhere at port 25 leaves 587
    # free. Precedent: Postfix default_process_limit 100, where each is a process.
    listener_connections_max: int = _number(2_500, 1, 20_000)
    # Connections at once of one /24 or /64 to one edge process. Precedent: Postfix
    # smtpd_client_connection_count_limit 50 (of one address). 0: no limit, here and below.
    network_connections_max: int = _number(50, 0, 100_000)
    # What one network of other hosts may bring an edge process in an hour: ten messages a second, more than
    # any provider sends a ministry. Precedent: Postfix smtpd_client_message_rate_limit (0 until it is set).
    network_messages_per_hour: int = _number(36_000, 0, 10_000_000)
    network_recipients_per_hour: int = _number(72_000, 0, 10_000_000)
    # What one account may send by an edge process in an hour: a person never does, a stolen password would.
    # Precedents: Exchange Online 30 messages a minute, 10,000 recipients a day; Gmail 2,000 messages a day.
    account_messages_per_hour: int = _number(1_800, 0, 10_000_000)
    account_recipients_per_hour: int = _number(10_000, 0, 10_000_000)
    # Networks that are not counted and never banned for guessing, with spaces or commas between.
    # Precedent: Postfix smtpd_client_event_limit_exceptions ($mynetworks).
    unlimited_networks: str = field(default="127.0.0.0/8 ::1/128", metadata={"kind": "networks"})
    # A network that still guesses passwords after the longest wait is banned for so long, and twice as long
    # each further time within a week, up to the second. Precedents: fail2ban bantime 10 min, and what many
    # set, 1 week; here whole networks (/24, /64) are banned, and homes change theirs. 0: never.
    guessing_ban_s: int = _number(3600, 0, 7 * 86_400)
    guessing_ban_max_s: int = _number(86_400, 60, 90 * 86_400)
    # name+tag@ is delivered to name@ where nobody has it itself (RFC 5233). Precedent: Gmail, Postfix.
    plus_addressing: bool = True
    # A full mailbox is refused with 452 4.2.2 for so long, then with 552 5.2.2: time to make room before
    # senders are told. Precedent: Dovecot quota_full_tempfail, as long as senders try (4-5 days, RFC 5321).
    quota_grace_h: int = _number(24 * 7, 0, 24 * 90)
    # Mailboxes of kind office are never full: a registry desk has to take in what comes.
    quota_spares_offices: bool = False
    # The write-ahead stream holds content for seconds; full, it refuses with 452 (architecture.md §5).
    ct_octets_max: int = _number(1024 * 1024 * 1024, 1024 * 1024, 1024**4)
    # Below this much free disk mail is refused with 452, so that what was accepted can still be delivered and
    # packed. Precedent: Postfix queue_minfree, at least 1.5 times its message limit. 0: a full disk refuses.
    disk_reserve_octets: int = _number(256 * 1024 * 1024, 0, 1024**4)

    # --- mailboxes ---
    # Of the names of Drafts, Sent and so on that an account gets when its mailboxes are opened first.
    mailbox_language: str = _one_of("th", "en", "th")
    # RFC 9051 §5.4: at least 30 minutes.
    imap_idle_timeout_s: int = _number(1800, 1800, 86_400)
    # RFC 1939 §3: at least 10 minutes.
    pop3_idle_timeout_s: int = _number(600, 600, 86_400)
    # Connections at once of one listener at one process: programs stay connected all day (IDLE).
    # Precedent: Dovecot default_client_limit 1000 a process.
    access_connections_max: int = _number(10_000, 1, 50_000)
    # Of one /24 or /64 to one process: a ministry behind one address has hundreds of programs. 0: no limit.
    access_network_connections_max: int = _number(1_000, 0, 100_000)
    # Of one account from one /24 or /64 to one process. Precedents: Dovecot mail_max_userip_connections 10,
    # Gmail 15 of an account, Exchange PopImap MaxConcurrency 20. 0: no limit.
    access_account_connections_max: int = _number(20, 0, 10_000)

    # --- content ---
    # How long the write-ahead keeps what is in a pack already (architecture.md §5).
    packer_keep_s: int = _number(60, 0, 86_400)
    # An object no event names goes after twice this; far longer than a mail takes from object to event.
    sweep_grace_h: int = _number(24, 1, 24 * 90)

    # --- the traffic log ---
    # Days that who connected, signed in and sent is kept in the rows. The law on computer crime (มาตรา 26)
    # wants 90 at least, and two years where an official orders so.
    trace_days: int = _number(90, 90, 3650)

    # --- what goes out ---
    # RFC 5321 §4.5.4.1: "generally at least 4-5 days".
    relay_give_up_after_h: int = _number(120, 1, 24 * 30)
    # Further authorities (PEM) that may say who a next hop is, for mails that require TLS (RFC 8689); read at
    # start. Precedent: Postfix smtp_tls_CAfile, in place of the machine's; these are beside them.
    relay_ca_file: Path | None = None
    # Who answers our questions to the DNS: IP addresses, each with a port if it is not 53. Empty: those of
    # /etc/resolv.conf. That DNSSEC vouches is believed of these, and of the machine's own on loopback.
    dns_servers: str = field(default="", metadata={"kind": "servers"})
    # Whether mail for domains that no agency has goes to the hosts the DNS names for them (RFC 5321 §5.1).
    relay_mx: bool = False
    # Where those hosts listen: 25 (RFC 5321 §4.5.4.2); another is for tests.
    relay_mx_port: int = _number(25, 1, 65_535)
    # Networks that are not of the Internet (RFC 6890) and where such hosts may be all the same, such as the
    # government's own: whoever has a domain could else have us connect to any address in here.
    relay_mx_networks: str = field(default="", metadata={"kind": "networks"})
    # Connections to one destination at most, of all relays together (ADR 0021). Precedent: Postfix
    # default_destination_concurrency_limit 20.
    relay_concurrency: int = _number(20, 1, 1000)
    # Mails a minute to one destination at most, likewise, in even steps. Precedent: Postfix
    # default_destination_rate_delay (0 s). 0: no limit.
    relay_mails_a_minute: int = _number(0, 0, 100_000)
    # How long a next hop may take: to be connected to and to start TLS (Postfix smtp_connect_timeout 30 s),
    # for one reply (RFC 5321 §4.5.3.2.1 to §4.5.3.2.3: 5 minutes), to DATA (§4.5.3.2.4: 2), to take what we
    # send (§4.5.3.2.5: 3) and for its answer to the final dot (§4.5.3.2.6: 10).
    relay_connect_timeout_s: int = _number(30, 1, 3600)
    relay_reply_timeout_s: int = _number(300, 1, 3600)
    relay_data_timeout_s: int = _number(120, 1, 3600)
    relay_block_timeout_s: int = _number(180, 1, 3600)
    relay_conclusion_timeout_s: int = _number(600, 1, 3600)
    # However little of each it takes, a mail is over after this, and 1 s more for each 500 octets of it
    # (Postfix smtp_min_data_rate 500). With 36 MiB that is 22 hours.
    relay_mail_timeout_s: int = _number(3600, 1, 86_400)
    # When a recipient is tried again: after the first of these, then after twice as long each time up to the
    # other, a fifth more or less by chance (RFC 5321 §4.5.4.1). Precedents: Postfix 5 to 67 minutes, exim
    # 15 minutes to 6 hours.
    relay_retry_first_s: int = _number(60, 1, 86_400)
    relay_retry_longest_s: int = _number(14_400, 1, 86_400)

    # --- administration ---
    roles_need_totp: bool = False  # who has a role and no authenticator does nothing but get one

    # --- trials ---
    # How long an agency is here that is here for trial. Precedent: Microsoft 365, 30 days.
    trial_days: int = _number(30, 1, 366)
    # So many days before its end it is warned, twice.
    trial_first_warning_days: int = _number(7, 1, 366)
    trial_last_warning_days: int = _number(1, 1, 366)
    # After its end mail still comes in for so long; then all is exported and the agency closed.
    # Precedent: Microsoft 365, 30 days until it is disabled.
    trial_grace_days: int = _number(30, 1, 366)
    # Where the mail of ended trials goes, in the clear; None: exports/ in the data folder of the steward.
    trial_exports: Path | None = None

    # --- processes ---
    edges: int = _number(1, 1, 64)
    imap_processes: int = _number(1, 1, 64)
    router_shares: int = _number(1, 1, 64)
    relays: int = _number(1, 1, 64)  # on one queue: leases keep them apart
    instance: int = _number(0, 0, 63)  # which of several processes of one role this is; a router's share

    @property
    def digest(self) -> str:
        """Short SHA-256 of all that is not secret, `data` and `instance` left out: each event carries it."""
        shown = {f.name: str(getattr(self, f.name)) for f in fields(self) if f.repr}
        shown = {name: value for name, value in shown.items() if name not in ("data", "instance")}
        return hashlib.sha256(repr(sorted(shown.items())).encode()).hexdigest()[:12]

    @property
    def mail_ports(self) -> Sequence[int]:
        """Where mail programs and other hosts come to us; the usual ones where nothing listens here."""
        listening = (
            self.listen_smtp,
            self.listen_submission,
            self.listen_submissions,
            self.listen_imap,
            self.listen_imaps,
            self.listen_pop3,
            self.listen_pop3s,
        )
        return [split_address(each)[1] for each in listening if each] or MAIL_PORTS

    @property
    def environment(self) -> dict[str, str]:
        """The same settings as environment variables, for a child process. `load` reads them back."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {PREFIX + name.upper(): _written(value) for name, value in values if value is not None}


def load(environment: Mapping[str, str], **given: Any) -> Settings:
    """The settings of this process. given: from the command line, stronger than the rest; None is not given.

    Raises SettingsError.
    """
    values = _from_environment(environment)
    values |= {name: value for name, value in given.items() if value is not None}
    data = Path(values.get("data", Settings.__dataclass_fields__["data"].default))
    return Settings(**(_from_file(data / FILE) | values))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            known = _setting(name.removeprefix(PREFIX).lower())
            if known is None or name != name.upper():
                raise SettingsError(_unknown(name, [f.name.upper() for f in fields(Settings)], PREFIX))
            values[known.name] = _parsed(known, name, environment[name])
    return values


def _from_file(file: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{FILE} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{FILE} cannot be read: {error.strerror}") from error
    values = {}
    for name, value in written.items():
        known = _setting(name)
        if known is None or name == "data":
            raise SettingsError(
                f"{FILE}: {_unknown(name, [f.name for f in fields(Settings) if f.name != 'data'])}"
            )
        values[known.name] = _parsed(known, f"{FILE}: {name}", _written(value))
    return values


def _setting(name: str) -> "Field[Any] | None":
    return next((f for f in fields(Settings) if f.name == name), None)


def _unknown(name: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name.removeprefix(prefix), known, 1, NEAR)
    return f"{name} is not a setting" + (f" (did you mean {prefix}{near[0]}?)" if near else "")


def _parsed(setting: "Field[Any]", shown_name: str, text: str) -> Any:
    """The value of a setting. Raises SettingsError; a secret's value is not shown."""
    try:
        return _value(setting, text)
    except ValueError as expectation:
        shown = repr(text) if setting.repr else "(hidden)"
        raise SettingsError(f"{shown_name} is {shown}, expected {expectation}") from None


def _value(setting: "Field[Any]", text: str) -> Any:
    """Raises ValueError, whose text says what is expected."""
    meta, type_ = setting.metadata, get_type_hints(Settings)[setting.name]
    if type_ is int:
        low, high = meta["low"], meta["high"]
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)
    if type_ is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ValueError("true or false")
        return text.lower() in ("true", "1", "yes")
    if type_ is not str:
        if not text:
            raise ValueError("a path")
        return Path(text)
    if "choices" in meta and text not in meta["choices"]:
        raise ValueError(f"one of {', '.join(meta['choices'])}")
    if meta.get("kind") == "address" and text:
        split_address(text)
    if meta.get("kind") == "networks":
        split_networks(text)
    if meta.get("kind") == "servers":
        split_servers(text)
    if meta.get("kind") == "bucket" and not _BUCKET.fullmatch(text):
        raise ValueError("3 to 63 small letters, digits, dots and hyphens")
    if "schemes" in meta and text and urlsplit(text).scheme not in meta["schemes"]:
        raise ValueError(f"{meta['schemes'][0]}://...")
    return text


def split_address(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as (host, port). Raises ValueError, whose text says what is expected."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and "/" not in host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("host:port, the port from 0 to 65535")
    return host.removeprefix("[").removesuffix("]"), int(port)


def split_networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Networks with spaces or commas between. Raises ValueError, whose text says what is expected."""
    try:
        return [ipaddress.ip_network(each) for each in text.replace(",", " ").split()]
    except ValueError:
        raise ValueError("networks such as 192.0.2.0/24, with spaces or commas between") from None


def split_servers(text: str) -> list[tuple[str, int]]:
    """IP addresses, with a port if it is not 53, spaces or commas between. Raises ValueError."""
    try:
        return [_server(each) for each in text.replace(",", " ").split()]
    except ValueError:
        raise ValueError(
            "IP addresses such as 192.0.2.53 or [2001:db8::53]:5353, with spaces or commas between"
        ) from None


def _server(text: str) -> tuple[str, int]:
    try:
        return str(ipaddress.ip_address(text)), 53
    except ValueError:
        host, port = split_address(text)
        return str(ipaddress.ip_address(host)), port


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
