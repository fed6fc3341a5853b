"""The traffic log through the API: who takes it out is an event, durable before the first octet is sent."""

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.responses import StreamingResponse

from gateway.domain.events import Fact, Stamp
from gateway.domain.signin import access_history
from gateway.domain.traffic import Format, TraceExported
from gateway.mail.ids import AgencyId
from gateway.processes.traffic_files import can_write, octets_of
from gateway.processes.web.office import Asked, Operation
from gateway.processes.web.problems import against_the_rules, malformed
from gateway.processes.web.tracing import moment
from projections.trace.log import traffic_between

MEDIA: Final[dict[Format, str]] = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


class ExportWanted(Struct, forbid_unknown_fields=True):
    """since: included; until: not."""

    since: Annotated[datetime, Meta(tz=True)]
    until: Annotated[datetime, Meta(tz=True)]
    format: Format = "csv"


async def export_all(asked: Asked) -> StreamingResponse:
    return await _export(asked, None)


async def export_agency(asked: Asked) -> StreamingResponse:
    return await _export(asked, asked.agency("see"))


async def _export(asked: Asked, agency_id: AgencyId | None) -> StreamingResponse:
    wanted: ExportWanted = asked.body
    office, since, until = asked.office, moment(wanted.since), moment(wanted.until)
    if until <= since:
        raise malformed("until is not after since")
    if not can_write(wanted.format):
        raise against_the_rules("this gateway makes no Parquet files: take csv or jsonl")
    stamp = Stamp(at=office.clock.now(), actor=asked.caller.actor, by=office.by)
    told = TraceExported(
        **stamp.fields(), agency_id=agency_id, since=since, until=until, format=wanted.format
    )
    await office.lane.append([Fact(access_history(agency_id), told)])
    return StreamingResponse(
        octets_of(traffic_between(office.pool, since, until, agency_id), wanted.format),
        headers={
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="traffic.{wanted.format}"',
            "content-type": MEDIA[wanted.format],
        },
    )


OPERATIONS: Final = (
    Operation(
        "POST",
        "/trace/export",
        "The traffic log of some time in a file; that it was taken out is an event.",
        export_all,
        None,
        ExportWanted,
        right="govern",
        media=tuple(MEDIA.values()),
    ),
    Operation(
        "POST",
        "/agencies/{agency_id}/trace/export",
        "The same of one agency.",
        export_agency,
        None,
        ExportWanted,
        media=tuple(MEDIA.values()),
    ),
)
