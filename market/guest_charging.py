"""The postings of what a guest paid at a socket.

The payment provider owes the whole amount from the moment that it was captured. The guest's account, which is
back at 0 at once, pays the value added tax in it and, with the rest, whose socket it was; who that is pays
the provider's fee.
"""

from __future__ import annotations

from datetime import datetime

from controller.domain.charge_tariff import without_vat_nanoeur
from controller.domain.time import quarter_start
from controller.domain.units import NANOEUR_PER_CENT
from market.ledger import (
    GUEST_ACCOUNT,
    PAYMENTS_ACCOUNT,
    TAX_ACCOUNT,
    Posting,
    PostingReason,
    posting,
)


def guest_postings(
    session_id: str,
    *,
    owner: str,
    paid_cents: int,
    fee_cents: int,
    vat_ppm: int,
    ended_at: datetime,
    booked_at: datetime,
) -> list[Posting]:
    """The postings of one guest's session; the same session always makes the same ones.

    Args:
        session_id: What they are about.
        owner: The account of whose socket it was.
        paid_cents: What was captured, VAT included, above 0.
        fee_cents: What the provider keeps of it.
        vat_ppm: The rate of the VAT in it.
        ended_at: When charging ended.
        booked_at: Domain time.
    """
    paid = paid_cents * NANOEUR_PER_CENT
    net = without_vat_nanoeur(paid, vat_ppm)
    moves = [
        (PAYMENTS_ACCOUNT, GUEST_ACCOUNT, paid, PostingReason.GUEST_PAYMENT),
        (GUEST_ACCOUNT, owner, net, PostingReason.GUEST_CHARGING),
        (GUEST_ACCOUNT, TAX_ACCOUNT, paid - net, PostingReason.GUEST_VAT),
        (owner, PAYMENTS_ACCOUNT, fee_cents * NANOEUR_PER_CENT, PostingReason.PAYMENT_FEE),
    ]
    return [
        posting(
            payer=payer,
            receiver=receiver,
            amount_nanoeur=amount,
            reason=reason,
            interval_start=quarter_start(ended_at),
            ref=session_id,
            booked_at=booked_at,
        )
        for payer, receiver, amount, reason in moves
        if amount
    ]
