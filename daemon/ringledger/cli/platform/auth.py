"""`auth`: the authorisation. Tokens live in the memory of the process that asked for them and are never shown.

What must stay true: nothing here prints, stores or takes a token or a secret.
"""

from typing import TYPE_CHECKING, Any

import typer

from ringledger.cli.context import console, options_of, print_table
from ringledger.cli.help import PlainGroup
from ringledger.cli.platform.client import PATIENCE, MaxWait, ask
from ringledger.cli.render import print_json, table
from ringledger.cli.times import span

if TYPE_CHECKING:
    from ringledger.service.commands.platform import OneShot

auth_app = typer.Typer(
    help="The authorisation as it stands. Tokens live in memory only: each command logs in anew and logs out again; "
    "the daemon's own session is not touched. Tokens are never printed.",
    no_args_is_help=True,
    cls=PlainGroup,
    rich_markup_mode="rich",
)


@auth_app.command("status")
def status(ctx: typer.Context, max_wait: MaxWait = PATIENCE) -> None:
    """Whether the credentials are good, whose they are, and what they allow, from a fresh login.

    Exits 77 when the platform rejects the credentials, 78 when there are none.
    """
    _show(ctx, max_wait, "the credentials are good", refresh=False)


@auth_app.command("login")
def login(ctx: typer.Context, max_wait: MaxWait = PATIENCE) -> None:
    """Try the login: obtain a token and give it back. The daemon logs in by itself; nothing is kept."""
    _show(ctx, max_wait, "logged in", refresh=False)


@auth_app.command("refresh")
def refresh(ctx: typer.Context, max_wait: MaxWait = PATIENCE) -> None:
    """Try the renewal: obtain a token, renew it, give it back.

    Says whether the platform issues refresh tokens; without them the renewal is a new login.
    """
    _show(ctx, max_wait, "renewed", refresh=True)


@auth_app.command("logout")
def logout(ctx: typer.Context, max_wait: MaxWait = PATIENCE) -> None:
    """Try the logout: obtain a token and revoke it.

    Sessions of other processes are not touched: to end the daemon's, stop the daemon; to end all, revoke the credential
    in the platform's developer console.
    """
    _show(ctx, max_wait, "logged in and out again", refresh=False)


def _show(ctx: typer.Context, max_wait: float, done: str, *, refresh: bool) -> None:
    options = options_of(ctx)

    async def work(asking: "OneShot") -> dict[str, Any]:
        try:
            return await _status(asking, refresh=refresh)
        finally:
            await asking.auth.logout()

    found = ask(options.account_settings(), work, max_wait=max_wait)
    if options.json:
        print_json(found)
        return
    made = table("", "")
    made.show_header = False
    owner = " ".join(str(found[name]) for name in ("extension_number", "name") if found[name])
    made.add_row("server", found["server_url"])
    made.add_row("owner", f"extension {found['extension_id']}" + (f" ({owner})" if owner else ""))
    made.add_row("account", found["account_id"])
    made.add_row("valid for", span(found["expires_in"]))
    made.add_row("renewable", "yes" if found["refreshable"] else "no, a new login each time")
    made.add_row("permissions", found["scope"] or "not told")
    print_table(made, folds=("",))
    console().print(done, style="green")


async def _status(asking: "OneShot", *, refresh: bool) -> dict[str, Any]:
    await asking.auth.token()
    if refresh:
        await asking.auth.refresh()
    me = await asking.client.whoami()
    standing = asking.auth.status
    return {
        "server_url": asking.settings.platform.server_url,
        "logged_in": standing.logged_in,
        "expires_in": standing.expires_in,
        "refreshable": standing.refreshable,
        "scope": standing.scope,
        "account_id": me.account_id,
        "extension_id": standing.owner_id or me.extension_id,
        "extension_number": me.extension_number,
        "name": me.name,
    }
