"""`yabam kafka permit`: what accounts may do at Kafka."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from client_sdk.command_line.output import say
from client_sdk.contract.errors import UsageError
from core_api.kafka.permitting import permit
from core_api.kafka.rights import Names, rights_of
from core_api.settings import PermitSettings
from server_common.settings.loader import load


def permit_accounts(options: Namespace) -> None:
    """Give each named account the rights of its kind.

    Raises:
        UsageError: no account is named.
        BrokerError: Kafka cannot be reached, or refuses.
    """
    settings = load(PermitSettings)
    rights = rights_of(_names(settings))
    named = [(kind, account) for kind in rights for account in getattr(options, kind)]
    if not named:
        raise UsageError("name an account, such as --relay relay")
    for kind, account in named:
        asyncio.run(permit(settings.cluster, account, rights[kind]))
        given = len(rights[kind])
        told = f"{account}: {given} rights of {kind}"
        say(options, told, {"account": account, "kind": kind, "rights": given})


def _names(settings: PermitSettings) -> Names:
    return Names(
        settings.events_topic,
        settings.inbound_topic,
        settings.inbound_dlq_topic,
        settings.alerts_topic,
        settings.messages_topic,
        settings.receipts_topic,
        settings.revocations_topic,
        settings.devices_inbound_topic,
        settings.devices_outbound_topic,
        settings.devices_dlq_topic,
        settings.mqtt_group,
    )
