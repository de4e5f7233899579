"""`idp worker`: the process that runs jobs."""

from __future__ import annotations

import click

from idp import work
from idp.cli.commands import Output, json_option
from idp.cli.opening import opened
from idp.jobs.worker import run_process
from idp.web import logs


@click.command()
@click.option("--parent", type=int, hidden=True, help="End when this process is gone.")
@click.option("--once", is_flag=True, help="Run what is due now, then end.")
@json_option
def worker(out: Output, *, parent: int | None, once: bool) -> None:
    """Run jobs: draining the spool, chaining audit logs, rotating keys, purging what has expired, delivering the outbox."""
    with opened() as installation:
        logs.configure(installation.settings)
        made = work.worker(installation)
        if once:
            count = made.run_due()
            out.result({"jobs": count}, f"{count} jobs ran.")
            return
        installation.feed.start()
        run_process(made, parent)
