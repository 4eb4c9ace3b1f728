"""The naive variant: what stopped or did not answer is queued again (variant B of the model).

It exists so that the harness is seen to catch it; nothing in the product can be told to behave so.
"""

from communications.status import STEPS, Status, Step

PATCH = f"{__name__}:spoil"


def spoil() -> None:
    """Turn this process into one that requeues: one entry of the status table is enough."""
    STEPS[Step.LOSE] = (frozenset({Status.SENDING}), Status.QUEUED)
