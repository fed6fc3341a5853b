"""Commands that run a gateway, or one of its roles, and look at what runs."""

import asyncio
import os
from pathlib import Path

import click
import uvloop

from gateway.adapters.jetstream.streams import Misconfigured
from gateway.adapters.keys import BadMasterKey
from gateway.cli.demonstration import demonstrate
from gateway.cli.logfiles import follow, tail
from gateway.cli.output import fail, nothing, say
from gateway.ports import BadCertificate, Deposed, LogCorrupt, Unavailable, leaves
from gateway.processes.readiness import until_told
from gateway.processes.router.decisions import Undecidable
from gateway.processes.up.announcement import read_gateway
from gateway.processes.up.children import StartFailed
from gateway.processes.up.folder import claim, sentence, wipe
from gateway.processes.up.ports import Ports
from gateway.processes.up.supervisor import ROLES, Supervisor, Work
from gateway.settings import Settings, SettingsError, load
from gateway.wiring.ground import prepare
from gateway.wiring.roles import run_role
from projections.checkpoint import Poison

# Each says in a sentence what happened, and where there is something to do, what.
EXPECTED = (
    StartFailed,
    SettingsError,
    Misconfigured,
    BadMasterKey,
    BadCertificate,
    Unavailable,
    LogCorrupt,
    Deposed,
    Poison,
    Undecidable,
)


@click.command()
@click.option("--demo/--no-demo", default=None, help="With three agencies to try it on; no mail leaves.")
@click.option(
    "--ports",
    type=click.Choice(["default", "ephemeral"]),
    default="default",
    show_default=True,
    help="Listen where the settings say, or on free ports of loopback.",
)
@click.option(
    "--ready-file", type=click.Path(dir_okay=False, path_type=Path), help="Written when all is ready."
)
@click.option("--tls-cert", type=click.Path(exists=True, path_type=Path), help="A certificate chain (PEM).")
@click.option("--tls-key", type=click.Path(exists=True, path_type=Path), help="Its private key (PEM).")
@click.pass_obj
def up(
    found: Settings,
    demo: bool | None,
    ports: str,
    ready_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Start everything in the foreground: servers, roles, and with --demo a demonstration.

    Example: saraban up --demo
    """
    try:
        settings = load(os.environ, data=found.data, demo=demo, tls_cert=tls_cert, tls_key=tls_key)
        with claim(settings.data) as folder, Ports(folder.run / "ports.json") as held:
            work = Work(
                prepare, demonstrate, run_one, modules=(__name__, *(f"gateway.wiring.{r}" for r in ROLES))
            )
            supervisor = Supervisor(folder, settings, held, work, click.echo)
            asyncio.run(until_told(supervisor.run(ephemeral=ports == "ephemeral", ready_file=ready_file)))
    except EXPECTED as error:
        fail(str(error))
    except OSError as error:
        fail(sentence(error, found.data))


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def reset(settings: Settings, yes: bool) -> None:
    """Destroy the data folder's content: every mail, key and account. saraban.toml stays.

    Example: saraban reset --yes
    """
    if not yes:
        click.confirm(f"Destroy every mail, key and account in {settings.data.absolute()}?", abort=True)
    try:
        removed = wipe(settings.data)
    except StartFailed as error:
        fail(str(error))
    except OSError as error:
        fail(sentence(error, settings.data))
    say(f"removed {', '.join(removed)}", removed=removed)


@click.command()
@click.argument("role", required=False)
@click.option("-f", "--follow", "on", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(0, 100_000))
@click.pass_obj
def logs(settings: Settings, role: str | None, on: bool, lines: int) -> None:
    """Show the log of one role or server, or of all.

    Example: saraban logs edge -f
    """
    files = sorted((settings.data / "logs").glob(f"{role}.log" if role else "*.log"))
    if not files:
        nothing(f"no log of {role or 'anything'} in {settings.data / 'logs'}")
    for file in files:
        for line in tail(file, lines):
            click.echo(line if role else f"{file.stem}: {line}")
    if on:
        for file, line in follow(files):
            click.echo(line if role else f"{file.stem}: {line}")


@click.group()
def ca() -> None:
    """The self-made certificate authority.

    Example: saraban ca export --output saraban-ca.pem
    """


@ca.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the terminal."
)
@click.pass_obj
def export(settings: Settings, output: Path | None) -> None:
    """Print the authority's certificate (PEM), for clients to trust.

    Example: saraban ca export --output saraban-ca.pem
    """
    file = settings.data / "tls" / "ca.pem"
    if not file.exists():
        nothing(f"no certificate authority in {settings.data}: `saraban up` makes it")
    if output is None:
        click.echo(file.read_text(), nl=False)
        return
    try:
        output.write_bytes(file.read_bytes())
    except OSError as error:
        fail(f"{output}: {error.strerror}")
    say(f"wrote {output}", file=str(output))


def run_one(role: str, data: Path | None = None) -> None:
    """Run a role by the settings of its environment, else by those of the gateway in `data`."""
    try:
        settings = load(os.environ, data=data)
        if not settings.nats_url:
            settings = read_gateway(settings.data).settings_for(role)
        uvloop.run(until_told(run_role(role, settings)))
    except EXPECTED as error:
        fail(str(error))
    except BaseExceptionGroup as group:
        expected, bugs = group.split(EXPECTED)
        if expected is None or bugs is not None:
            raise
        fail("; ".join(str(error) for error in leaves(expected)))


def _role(name: str) -> click.Command:
    @click.command(name, help=f"Run the role {name} alone, in the foreground.\n\nExample: saraban {name}")
    @click.pass_obj
    def command(found: Settings) -> None:
        run_one(name, found.data)

    return command


edge, imap, pop3, router, relay, packer, projector, steward, web = map(
    _role, ("edge", "imap", "pop3", "router", "relay", "packer", "projector", "steward", "web")
)
