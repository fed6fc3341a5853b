"""The `saraban` command: one module per family of commands, loaded when it is asked for.

`--data`, `--api` and `--json` may stand before or after a command's name.
"""

import importlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.output import fail
from gateway.processes.up.announcement import read_gateway
from gateway.processes.up.children import StartFailed
from gateway.processes.up.folder import gateway_file, is_held
from gateway.settings import Settings, SettingsError, load

# Command and the module it is in; the function has the command's name.
FAMILIES: Final = {
    "up": "running",
    "init": "registering",
    "login": "signing_in",
    "logout": "signing_in",
    "status": "status",
    "reset": "running",
    "logs": "running",
    "ca": "running",
    "agency": "agencies",
    "account": "accounts",
    "alias": "aliases",
    "app-password": "app_passwords",
    "list": "lists",
    "ban": "bans",
    "import": "importing",
    "mailbox": "mailboxes",
    "send": "sending",
    "trace": "tracing",
    "queue": "queueing",
    "tls-report": "tls_reporting",
    "events": "events",
    "log": "events",
    "projection": "projecting",
    "search": "searching",
    "check": "checking",
    "edge": "running",
    "imap": "running",
    "pop3": "running",
    "router": "running",
    "relay": "running",
    "packer": "running",
    "projector": "running",
    "steward": "running",
    "web": "running",
}
TAKEN: Final = {"import", "list"}  # by Python: the function's name has an underscore at its end


class Families(click.Group):
    """The main group. A family's module is imported when one of its commands is named, or for `--help`."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(FAMILIES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        module = FAMILIES.get(name)
        if module is None:
            return None
        found, attribute = importlib.import_module(f"gateway.cli.{module}"), name.replace("-", "_")
        command = getattr(found, f"{attribute}_" if attribute in TAKEN else attribute)
        assert isinstance(command, click.Command), name
        _accept_common_options(command)
        return command


def _want_json(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        context.find_root().meta["saraban.json"] = True


def _want_api(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        context.find_root().meta["saraban.api"] = True


def _use_data(context: click.Context, option: click.Parameter, given: Path | None) -> None:
    """Put the settings for this data folder into the context: those of the gateway that runs there."""
    if given is not None:
        context.find_root().meta["saraban.data"] = True
    if given is not None or context.obj is None:
        context.obj = settings_of(given)


def settings_of(data: Path | None) -> Settings:
    """The settings of this process; a gateway that runs on the folder lends what they leave open."""
    try:
        settings = load(os.environ, data=data)
        if not gateway_file(settings.data).exists():
            return settings
        running = replace(read_gateway(settings.data).settings_for("cli"), data=settings.data.absolute())
        if is_held(settings.data):
            return running
        # It has stopped: what it was started with serves who looks at its files, and no server answers.
        return settings if settings.nats_url else replace(running, nats_url="")
    except (SettingsError, StartFailed) as error:
        fail(str(error))


def _common_options() -> list[click.Option]:
    return [
        click.Option(
            ["--data"],
            type=click.Path(file_okay=False, path_type=Path),
            help="The data folder [default: SARABAN_DATA or ./var].",
            expose_value=False,
            callback=_use_data,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Answer in JSON.",
            expose_value=False,
            is_eager=True,
            callback=_want_json,
        ),
        click.Option(
            ["--api"],
            is_flag=True,
            help="Ask the API one has logged in to, no data folder.",
            expose_value=False,
            is_eager=True,
            callback=_want_api,
        ),
    ]


def _accept_common_options(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _accept_common_options(below)
        if not command.invoke_without_command:
            return
    names: set[Any] = {parameter.name for parameter in command.params}
    command.params += [option for option in _common_options() if option.name not in names]


@click.command(
    cls=Families, params=_common_options(), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="saraban", message="saraban %(version)s")
def main() -> None:
    """Saraban (สารบรรณ): an event-sourced mail gateway for government.

    \b
    saraban up                                     start everything on this machine
    saraban status                                 what runs, and what waits
    saraban trace --subject ประชุม                   what happened to a mail

    Completion in the shell: eval "$(_SARABAN_COMPLETE=bash_source saraban)"
    """
