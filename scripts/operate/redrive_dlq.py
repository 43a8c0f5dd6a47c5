"""Redrives the events in the dead-letter queue: scripts/redrive-dlq.sh."""

from argparse import Namespace
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operate.aws import Aws, code_of, open_aws
from operate.console import FAILED, OK, OperateError, confirm, note, out, warn
from operate.dead_letters import Letter, Plan, Rules
from operate.forwarding import forwarding_stack
from operate.options import Parser, region
from operate.stacks import find_stack, get_stack

# The visibility timeout: after it, messages that were not deleted are visible again.
HOLD_SECONDS = 900
WAIT_SECONDS = 2
AT_ONCE = 10

EPILOG = """\
Prints a line per message: its ID, the rule or schedule that could not deliver it, the error code,
and the execution that it started; never its content. You can repeat the command: it starts one
execution per event. A message that it does not understand stays in the queue.

exit codes:
  0  every message was redriven
  1  some messages are left in the queue
  2  wrong options

examples:
  scripts/redrive-dlq.sh --environment prod
  scripts/redrive-dlq.sh --environment prod --forwarding-region us-east-1
"""


def parser() -> Parser:
    """Return the options."""
    made = Parser(
        "redrive-dlq",
        "Start the executions that events in the dead-letter queue should have started.",
        EPILOG,
    )
    made.yes()
    meaning = "redrive the queue of the forwarding stack in this region, not the stack's own"
    made.value("--forwarding-region", region, "R", meaning)
    return made


def run(options: Namespace) -> int:
    """Redrive every message; return the exit code."""
    aws = open_aws(options)
    stack = get_stack(aws, options.environment)
    at, queued_by = aws.region, stack
    if options.forwarding_region:
        at = options.forwarding_region
        name = forwarding_stack(stack.name)
        found = find_stack(aws, name, at)
        if not found:
            raise OperateError(f"there is no stack {name} in {at}: check --forwarding-region")
        queued_by = found
    queue = Queue(aws.client("sqs", at), queued_by.output("DeadLetterQueueUrl"))
    rules = Rules(stack, forwarded=bool(options.forwarding_region))
    redrive = Redrive(aws, queue, rules)
    if not options.yes:
        question = f"About {queue.count()} messages in {queue.name}. Start the execution of each?"
        confirm(question, aws.where(stack.name), yes=False)
    try:
        redrive.all()
    except KeyboardInterrupt:
        note("The other messages are still in the queue; run this command again.")
        raise
    finally:
        queue.release()
    note(f"{redrive.done} redriven, {len(redrive.left)} left in the queue")
    return FAILED if redrive.left else OK


@dataclass
class Queue:
    """The dead-letter queue, and the receipt handles of its hidden messages."""

    sqs: Any
    url: str
    held: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Return the queue's name."""
        return self.url.rpartition("/")[2]

    def count(self) -> str:
        """Return the approximate number of messages."""
        name = "ApproximateNumberOfMessages"
        told = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return str(told["Attributes"][name])

    def receive(self) -> list[Letter]:
        """Return some messages and hide them from others; none if the queue is empty."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MessageAttributeNames=["All"],
            MaxNumberOfMessages=AT_ONCE,
            VisibilityTimeout=HOLD_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
        )
        letters = [Letter.from_message(one) for one in answer.get("Messages", [])]
        self.held |= {letter.receipt_handle for letter in letters}
        return letters

    def delete(self, letter: Letter) -> None:
        """Delete a redriven message."""
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt_handle)
        self.held.discard(letter.receipt_handle)

    def release(self) -> None:
        """Make the hidden messages visible again."""
        for receipt in self.held:
            with suppress(ClientError, BotoCoreError):
                self.sqs.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=0
                )


@dataclass
class Redrive:
    """Redrives messages; `done` counts them, `left` has the IDs of those left in the queue."""

    aws: Aws
    queue: Queue
    rules: Rules
    done: int = 0
    left: set[str] = field(default_factory=set)

    def all(self) -> None:
        """Redrive one message after another, until none is visible."""
        while letters := self.queue.receive():
            for letter in letters:
                self._one(letter)

    def _one(self, letter: Letter) -> None:
        planned = self.rules.plan(letter)
        if not planned:
            # A message comes again if the others take longer than the visibility timeout.
            if letter.message_id not in self.left:
                warn(
                    f"message {letter.message_id} ({letter.origin}) is not understood; it stays. "
                    "See whether scripts/validate.sh names a deleted rule"
                )
            self.left.add(letter.message_id)
            return
        did = self._do(planned)
        self.queue.delete(letter)
        self.done += 1
        out(f"{letter.message_id} ({letter.origin}): {planned.about}{did}")

    def _do(self, planned: Plan) -> str:
        """Execute the plan; return what it did, in words."""
        if not planned.target:
            return " starts nothing, deleted"
        if not planned.name:
            self.aws.client("sns").publish(TopicArn=planned.target, Message=planned.payload)
            return ", published"
        try:
            self.aws.client("stepfunctions").start_execution(
                stateMachineArn=planned.target, name=planned.name, input=planned.payload
            )
        except ClientError as error:
            # An earlier redrive started it.
            if code_of(error) != "ExecutionAlreadyExists":
                raise
            return f", already started as {planned.name}"
        return f", started as {planned.name}"
