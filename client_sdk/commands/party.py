"""`yabam party …`: end the party at a table."""

from __future__ import annotations

from argparse import Namespace

from client_sdk.command_line.output import say
from client_sdk.commands.connection import check_host, token_of
from client_sdk.commands.state import loaded, outcome_of
from client_sdk.contract.channel import parse_channel
from client_sdk.contract.errors import ChannelError, UsageError
from client_sdk.errors import ClientError
from client_sdk.shared_state.edit_batch import EditHandle
from client_sdk.shared_state.yabam_client import YabamClient

PARTY = "party"
"""The document whose change ends the access of the guests' tokens."""


async def leave(options: Namespace) -> None:
    """The party at a table has left: end its guests' tokens, and clear what they shared.

    Raises:
        UsageError: the argument is not a table, or there is no token or no such host.
        ClientError: Core has not answered, or others have changed it at the same time.
    """
    token, channel = token_of(options), _channel(options.place)
    await check_host(options)
    async with YabamClient(options.core, token, [channel]) as client:
        documents = client.state(channel)
        await loaded(client, documents[PARTY], options.wait)
        number = (documents[PARTY].value or {"number": 0})["number"] + 1
        # First, so that no guest can write again to the documents that are cleared next.
        await _done(client, await documents[PARTY].merge({"number": number}), options.wait)
        cleared = [key for key in documents.keys if key != PARTY]
        for key in cleared:
            await _done(client, await documents[key].delete(), options.wait)
    told = f"{options.place}: the party has left; party {number} may come"
    say(options, told, {"table": options.place, "number": number, "cleared": cleared})


async def _done(client: YabamClient, edit: EditHandle, wait_s: float) -> None:
    outcome = await outcome_of(client, edit, wait_s)
    if outcome is None:
        raise ClientError(f"Core has not answered: {client.state.sending_error}")
    if outcome.outcome not in ("applied", "settled"):
        raise ClientError("others have changed it at the same time: try again")


def _channel(place: str) -> str:
    try:
        return str(parse_channel(f"party:{place}"))
    except ChannelError as error:
        raise UsageError(f"{place!r} is not a table: write STORE/TABLE, such as 12/5") from error
