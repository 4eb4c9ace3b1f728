"""Steps: which function takes which kind of step."""

from campaigns.journeys import calling, changing, choosing, sending, waiting
from campaigns.journeys.ast import (
    Branch,
    Call,
    Check,
    Digest,
    Exit,
    GoTo,
    Send,
    Set,
    Split,
    Stage,
    Tag,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from campaigns.journeys.machine import Take

TAKES: dict[type, Take] = {
    Send: sending.send,
    Wait: waiting.wait,
    WaitTime: waiting.wait_time,
    WaitFor: waiting.wait_for,
    Digest: waiting.digest,
    Branch: choosing.branch,
    Split: choosing.split,
    Check: choosing.check,
    Exit: choosing.leave,
    Stage: choosing.stage,
    GoTo: choosing.go_to,
    Set: changing.set_field,
    Tag: changing.tag,
    Webhook: calling.webhook,
    Call: calling.call,
}
