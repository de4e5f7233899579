"""The `idp` command: what operators do with an installation (docs: README.md and `idp --help`).

Each group of commands is a module of its own, imported when it is called, so that the shortest command starts fast. This
module owns the table of commands and how every one of them ends: exit status 0 done, 1 failed, 2 used wrongly, and an error
as one sentence on standard error that says what to do, never a traceback.
"""

from __future__ import annotations

import os
import sys

import click

from idp.cli.commands import LazyGroup
from idp.errors import IdpError, SettingError, StorageUnavailable


@click.group(
    cls=LazyGroup,
    commands_by_name={
        "init": ("idp.cli.init:init", "Make the data folder, the master key, the databases and the first tenants."),
        "serve": ("idp.cli.serve:serve", "Serve, with a worker beside the server."),
        "worker": ("idp.cli.worker:worker", "Run jobs: purge, key rotation, the audit chain, the outbox."),
        "tenant": ("idp.cli.tenant:tenant", "Tenants: create, list, show, set, suspend, resume, delete."),
        "user": ("idp.cli.user:user", "Users of a tenant: create, invite, list, disable, delete, restore."),
        "profile": ("idp.cli.profile:profile", "What the profiles of a tenant's people have: show, set."),
        "terms": ("idp.cli.terms:terms", "Terms that people accept: set, list, end."),
        "client": ("idp.cli.client:client", "Clients (relying parties) of a tenant."),
        "text": ("idp.cli.text:text", "A tenant's own texts for sentences of pages and mails: list, set, reset."),
        "registration-token": (
            "idp.cli.registration_token:registration_token",
            "Initial access tokens: who may register clients.",
        ),
        "outbox": ("idp.cli.outbox:outbox", "What waits to be delivered, or could not be: list, show, retry, discard."),
        "webhook": ("idp.cli.webhook:webhook", "Webhooks of a tenant: list, deliveries, replay."),
        "mail": ("idp.cli.mail:mail", "Mails of a tenant: preview, word, test, choose the server."),
        "token": ("idp.cli.token:token", "An access token for the services, with what a user may do."),
        "keys": ("idp.cli.keys:keys", "Signing keys of a tenant, and the master key."),
        "db": ("idp.cli.db:db", "Schemas of the databases: status, upgrade."),
        "audit": ("idp.cli.audit:audit", "Verify the audit log of a tenant."),
        "explain": ("idp.cli.explain:explain", "Say why a request was refused, by the id that its answer showed."),
        "test": ("idp.cli.trial:test", "Sign in with a client, step by step, and show the tokens."),
        "doctor": ("idp.cli.doctor:doctor", "Check settings and health, one line a finding with its fix."),
        "demo-rp": ("idp.cli.demo_rp:demo_rp", "Run the demo relying party."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(package_name="authsec", prog_name="idp", message="%(prog)s %(version)s")
def cli() -> None:
    """Operate a multi-tenant identity provider."""


def main() -> None:
    """Run the command of ``sys.argv`` and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; errors are written to standard error."""
    try:
        status = cli.main(args=arguments, prog_name="idp", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "idp"
        return _complain(f"{error.format_message().rstrip('.')}; see `{where} --help`.", 2)
    except click.exceptions.Abort:
        return _complain("Stopped; nothing more was done.", 1)
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except SettingError as error:
        return _complain(str(error), 1)
    except StorageUnavailable as error:
        return _complain(_storage(error), 1)
    except IdpError as error:
        return _complain(error.title, 1)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return 0
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _complain(f"{what}{error.strerror or error}; check that it exists and may be used by this user.", 1)
    return status if isinstance(status, int) else 0


def _storage(error: StorageUnavailable) -> str:
    if error.title != StorageUnavailable.title:
        return error.title
    return "The database cannot be used (locked, full, lost or not readable); `idp doctor` says more."


def _complain(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status
