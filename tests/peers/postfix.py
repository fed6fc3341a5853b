"""Postfix as a peer. Source: postconf(5), master(5)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.peers.peer import (
    AUTHORITIES,
    CHAIN,
    KEPT,
    KEY,
    MESSAGE_OCTETS_MAX,
    USERS,
    VMAIL,
    Peer,
    Surroundings,
    free_port,
    furnish,
    make_owned,
    running,
)

DOMAIN: Final = "postfix.example"
MAIN: Final = """
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
maillog_file = /var/log/postfix.log
myhostname = mx.{domain}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
local_recipient_maps =
message_size_limit = {octets_max}
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {kept_in}
virtual_mailbox_maps = static:{kept_as}/
virtual_mailbox_limit = 0
virtual_minimum_uid = {vmail}
virtual_uid_maps = static:{vmail}
virtual_gid_maps = static:{vmail}
virtual_alias_maps = inline:{{ later@{domain}={unknown} }}
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ nobody@{domain} = 550 5.1.1 Nobody }} }},
    permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {chain}
relayhost = [localhost]:{gateway_port}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = localhost
smtp_tls_CAfile = {authorities}
"""
MASTER: Final = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n 1000? 1 tlsmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
flush    unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp     unix - - n - - smtp
error    unix - - n - - error
retry    unix - - n - - error
virtual  unix - n n - - virtual
anvil    unix - - n - 1 anvil
scache   unix - - n - 1 scache
postlog  unix-dgram n - n - 1 postlogd
"""
QUEUES: Final = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private")
QUEUES_AND_SOCKETS: Final = (*QUEUES, "saved", "trace", "public")


@contextmanager
def running_postfix(folder: Path, surroundings: Surroundings) -> Iterator[Peer]:
    """Postfix in `folder`, which is made."""
    peer = Peer(DOMAIN, folder, free_port())
    kept_in, _, kept_as = KEPT.rpartition("/")
    main = MAIN.format(
        domain=DOMAIN,
        octets_max=MESSAGE_OCTETS_MAX,
        kept_in=kept_in,
        kept_as=kept_as,
        vmail=VMAIL,
        unknown=surroundings.unknown,
        key=KEY,
        chain=CHAIN,
        gateway_port=surroundings.gateway_port,
        authorities=AUTHORITIES,
    )
    files = {"/etc/postfix/main.cf": main, "/etc/postfix/master.cf": MASTER.format(port=peer.port)}
    furnish(folder, surroundings, files)
    for name in QUEUES_AND_SOCKETS:
        make_owned(folder / "var/spool/postfix" / name, USERS["postfix"], 0o700)
    (folder / "var/spool/postfix/pid").mkdir()
    make_owned(folder / "var/spool/postfix/maildrop", USERS["postfix"], 0o730, USERS["postdrop"])
    make_owned(folder / "var/lib/postfix", USERS["postfix"], 0o700)
    with running(peer, surroundings, ("/usr/lib/postfix/sbin/master", "-d")) as started:
        yield started
