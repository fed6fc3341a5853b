"""Who is let in, at the edge and on the web alike: signing in, bans, and the certificates we show."""

from datetime import timedelta

from gateway.adapters.openid import OpenIdTokens
from gateway.adapters.system import entropy
from gateway.adapters.tls import CertificateFiles
from gateway.ports import BadCertificate, Lane, ServerContext
from gateway.processes.signin.banning import Banning
from gateway.processes.signin.bans import BanRows, BanRule, Bans
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.signin import SignIns
from gateway.settings import Settings, split_networks
from gateway.wiring.ground import Ground
from projections.readmodel import Pool


def bans_of(g: Ground, pool: Pool, lane: Lane) -> Bans:
    """Who is banned, for one process."""
    settings = g.settings
    rule = BanRule(
        first=timedelta(seconds=settings.guessing_ban_s),
        longest=timedelta(seconds=settings.guessing_ban_max_s),
        exempt=split_networks(settings.unlimited_networks),
    )
    return Bans(BanRows(pool, g.clock), Banning(g.keys, lane, entropy), g.clock, g.by, rule)


def open_door(g: Ground, pool: Pool, lane: Lane, bans: Bans) -> SignIns:
    """Signing in, for one process."""
    return SignIns(
        people=PeopleRows(pool),
        tokens=OpenIdTokens(g.clock, entropy),
        keys=g.keys,
        lane=lane,
        clock=g.clock,
        entropy=entropy,
        by=g.by,
        bans=bans,
    )


def certificate_files(settings: Settings) -> CertificateFiles | None:
    """Where what we show to clients lies; None without a certificate. Raises BadCertificate."""
    if settings.tls_cert is None or settings.tls_key is None:
        if settings.tls_folder is not None:
            raise BadCertificate(
                f"the certificates in {settings.tls_folder} need one for clients that name no host: "
                "set SARABAN_TLS_CERT and SARABAN_TLS_KEY"
            )
        return None
    return CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_folder)


def server_tls(settings: Settings) -> ServerContext | None:
    """What we show to clients; None without a certificate. Raises BadCertificate."""
    files = certificate_files(settings)
    return None if files is None else files.load()
