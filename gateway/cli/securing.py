"""`saraban agency tls`: what TLS with an agency's own mail server has to be."""

from datetime import datetime
from pathlib import Path
from typing import get_args

import click
import msgspec

from gateway.cli.desk import Where, administering, confirm
from gateway.cli.instants import Instant
from gateway.cli.output import say
from gateway.cli.registering import agencies_at
from gateway.domain.agency_tls import AgencyTls, TlsUse
from gateway.mail.ids import AgencyId

PEM_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("tls")
@click.argument("agency_id")
@click.argument("use", type=click.Choice(get_args(TlsUse)), required=False)
@click.option("--ca", type=PEM_FILE, help="Who alone vouches for its server (PEM).")
@click.option(
    "--cert", type=PEM_FILE, help="What we show to its server: our certificate and its chain (PEM)."
)
@click.option("--key", type=PEM_FILE, help="The private key of --cert (PEM, without a password).")
@click.option("--except-until", type=Instant(), help="TLS is opportunistic until then, whatever is demanded.")
@click.option("--no-exception", is_flag=True, help="The exception ends now.")
@click.option("--reason", default="", help="Why; it stands in the log for ever.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def tls(
    desk: Where,
    agency_id: str,
    use: TlsUse | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    except_until: datetime | None,
    no_exception: bool,
    reason: str,
    yes: bool,
) -> None:
    """Say what TLS with an agency's own mail server has to be, or show it.

    opportunistic: taken where it is offered, with anybody. required: with the server that is meant, as those
    say whom this machine trusts. pinned: as --ca alone says. mutual: we show --cert as well.
    Mail that cannot go waits. An exception is for a time: until then TLS is opportunistic.

    Example: saraban agency tls ag_01… pinned --ca dld-ca.pem --reason 'agreed on 2026-11-20'
    """
    changed, identifier = agencies_at(desk), AgencyId(agency_id)
    if use is None and (ca or cert or key):
        raise click.UsageError("say which policy the files are for: pinned or mutual")
    if bool(cert) != bool(key):
        raise click.UsageError("--cert and --key belong together")
    if except_until and no_exception:
        raise click.UsageError("say --except-until TIME, or --no-exception")
    policy = await changed.tls(identifier)
    if use or except_until or no_exception:
        if not reason.strip():
            raise click.UsageError("say why with --reason TEXT; it stands in the log")
        if use:
            policy = AgencyTls(use, _pem(ca), _pem(cert))
        policy = msgspec.structs.replace(policy, exception_until=except_until)
        if policy.use == "opportunistic" or except_until:
            confirm(f"Let mail to {agency_id} go to whoever answers, in the clear where need be?", yes=yes)
        policy = await changed.set_tls(identifier, policy, _pem(key).encode(), reason)
    shown = {"authorities": "", "certificate": "", "exception_until": None, **msgspec.to_builtins(policy)}
    say(f"{agency_id}: TLS with its server is {policy}", agency_id=agency_id, **{**shown, "use": policy.use})


def _pem(file: Path | None) -> str:
    """Raises UsageError."""
    try:
        return file.read_text("utf-8") if file else ""
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise click.UsageError(f"{file} is no PEM file") from error
