"""`penstock alerts`: is anybody told?"""

from __future__ import annotations

from typing import Annotated

import typer

from gates.cli.asking import asking, client_of, print_json
from gates.cli.options import CONTROL, Control, Json
from gates.exits import Exit, Failure

app = typer.Typer(help="Try out the channels that alerts go to.", rich_markup_mode=None)


def send_test(
    urgency: Annotated[str, typer.Option(metavar="URGENCY", help="critical, warning or info.")] = "critical",
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Send a test alert to each channel of an urgency.

    The exit status is 4 where a channel did not take it.

    \b
      penstock alerts test --urgency warning
    """
    from gates.alerts import Urgency

    if urgency not in set(Urgency):
        raise Failure(f"--urgency: expected {', '.join(Urgency)}, found {urgency!r}", Exit.USAGE)
    with client_of(control, timeout=60.0) as client:
        deliveries = client.test_alerts(urgency)
    if json:
        print_json(deliveries)
    for delivery in () if json else deliveries:
        print(delivery.error or f"{delivery.channel}: taken")  # an error names its channel
    if not deliveries:
        raise Failure(f"no channel is told of {urgency} alerts: name some under alerts.{urgency}", Exit.CONFIGURATION)
    if any(delivery.error for delivery in deliveries):
        raise Failure("not every channel took it", Exit.UNAVAILABLE)


@app.callback()
def alerts() -> None:
    """Try out the channels that alerts go to."""


app.command("test")(asking(send_test))
