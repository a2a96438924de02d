"""What the owner sees of our hub: who is subscribed, who has asked to be, and how deliveries go."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store.tables import HubDeliveryRow, HubRequestRow, HubSubscriberRow

MOST = 10_000
STATES = {"subscribe": "pending", "unsubscribe": "leaving", "denied": "denied"}
"""Of who is still to be asked or told."""


@dataclass(frozen=True, slots=True)
class HubSubscription:
    """`state` is active; or, while the callback is still to be asked or told, pending, leaving or denied.

    `next_delivery` is when what waits for it is sent; None when it has the newest.
    """

    callback: str
    topic: str
    kind: str
    state: str
    lease_seconds: int
    lease_expires: datetime | None = None
    last_delivery: datetime | None = None
    next_delivery: datetime | None = None
    failures: int = 0
    last_error: str = ""


async def every(db: AsyncConnection, now: datetime) -> list[HubSubscription]:
    """Requests first, then those with trouble, then the others, by topic."""
    asked = [
        HubSubscription(row.callback, row.topic, "websub", STATES.get(row.mode, row.mode), row.lease_seconds)
        for row in await db.execute(_REQUESTS)
    ]
    active = [
        HubSubscription(
            row.callback, row.topic, row.kind, "active", row.lease_seconds, row.expires_at, row.last_delivery,
            row.due_at, row.failures, row.last_error,
        )
        for row in await db.execute(_SUBSCRIBERS.where(HubSubscriberRow.expires_at > now))
    ]  # fmt: skip
    return asked + sorted(active, key=lambda one: (not one.failures, one.topic, one.callback))


_REQUESTS = (
    select(HubRequestRow.callback, HubRequestRow.topic, HubRequestRow.mode, HubRequestRow.lease_seconds)
    .order_by(HubRequestRow.id)
    .limit(MOST)
)
_SUBSCRIBERS = (
    select(
        HubSubscriberRow.callback, HubSubscriberRow.topic, HubSubscriberRow.kind, HubSubscriberRow.lease_seconds,
        HubSubscriberRow.expires_at, HubSubscriberRow.last_delivery, HubSubscriberRow.failures,
        HubSubscriberRow.last_error, HubDeliveryRow.due_at,
    )
    .outerjoin(HubDeliveryRow, HubDeliveryRow.subscriber_id == HubSubscriberRow.id)
    .order_by(HubSubscriberRow.id)
    .limit(MOST)
)  # fmt: skip
