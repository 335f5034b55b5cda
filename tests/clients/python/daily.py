"""Read how many numbers were issued on each day, and what of."""

from order import ORDER, connect, issue, proof_of
from tracking_client.api.reports import daily_report, daily_reports
from tracking_client.models import Problem

with connect() as client:
    issued = issue(client)
    proof_of(client, issued.tracking_number)  # what is counted is in the log

    found = daily_reports.sync(client=client)
    assert found is not None
    assert not isinstance(found, Problem)
    today = next(day for day in found.days if day.day == issued.created_at.date())
    assert not today.closed
    assert today.links.corrections is None

    report = daily_report.sync(today.day, client=client)
    assert report is not None
    assert not isinstance(report, Problem)
    assert report.total >= today.total
    assert report.signature is None
    route = (ORDER["origin_country_id"], ORDER["destination_country_id"])
    assert route in {(cell.origin, cell.destination) for cell in report.counts}
