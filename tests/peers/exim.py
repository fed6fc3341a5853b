"""Exim as a peer; on a second port it offers no DSN, as it does by default. Source: Exim's specification."""

import shutil
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
    Peer,
    Surroundings,
    free_port,
    furnish,
    make_owned,
    running,
)

DOMAIN: Final = "exim.example"
DOMAIN_WITHOUT_DSN: Final = "without-dsn.example"
CONFIGURE: Final = """
primary_hostname = mx.{domain}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {port_without_dsn}
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
keep_environment =
notifier_socket =
message_size_limit = {octets_max}
tls_advertise_hosts = *
tls_certificate = {chain}
tls_privatekey = {key}
dsn_advertise_hosts = ${{if eq{{$received_port}}{{{port}}}{{*}}{{}}}}
acl_smtp_rcpt = recipients

begin acl
recipients:
  deny message = 5.1.1 Nobody
       local_parts = nobody
       domains = {domain}
  accept

begin routers
later:
  driver = redirect
  domains = {domain}
  local_parts = later
  data = {unknown}
kept:
  driver = accept
  domains = {domain} : {domain_without_dsn}
  transport = kept
gateway:
  driver = manualroute
  route_list = * localhost byname
  self = send
  transport = gateway

begin transports
kept:
  driver = appendfile
  directory = {kept}
  maildir_format
  user = vmail
  group = vmail
  batch_max = 1000
  return_path_add
  envelope_to_add
gateway:
  driver = smtp
  port = {gateway_port}
  hosts_require_tls = *
  tls_verify_certificates = {authorities}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *

begin retry
* * F,1h,1m
"""


@contextmanager
def running_exim(folder: Path, surroundings: Surroundings) -> Iterator[Peer]:
    """Exim in `folder`, which is made."""
    peer = Peer(DOMAIN, folder, free_port(), free_port())
    configure = CONFIGURE.format(
        domain=DOMAIN,
        domain_without_dsn=DOMAIN_WITHOUT_DSN,
        port=peer.port,
        port_without_dsn=peer.port_without_dsn,
        octets_max=MESSAGE_OCTETS_MAX,
        chain=CHAIN,
        key=KEY,
        unknown=surroundings.unknown,
        kept=KEPT,
        gateway_port=surroundings.gateway_port,
        authorities=AUTHORITIES,
    )
    furnish(folder, surroundings, {"/etc/exim4/exim4.conf": configure})
    for name in ("var/spool/exim4", "var/log/exim4"):
        make_owned(folder / name, USERS["Debian-exim"])
    shutil.chown(folder / KEY[1:], USERS["Debian-exim"])
    with running(peer, surroundings, ("/usr/sbin/exim4", "-bdf", "-q1m")) as started:
        yield started
