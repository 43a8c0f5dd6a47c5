"""Service integrations of state machines that MiniStack implements incompletely."""

from typing import Any

from ministack.services import stepfunctions as sfn

from standin.ministack.executions import Json
from standin.ministack.registry import hook

_PUBLISH = "arn:aws:states:::sns:publish"


@hook
def sns_message_attributes() -> None:
    """Pass on the `MessageAttributes` of `sns:publish`.

    MiniStack reads them only from the form fields of an HTTP request.
    """

    def publish(resource: str, arguments: Json) -> Any:
        fields = dict(arguments)
        attributes = fields.pop("MessageAttributes", {})
        for number, (name, value) in enumerate(attributes.items(), start=1):
            entry = f"MessageAttributes.entry.{number}"
            fields[f"{entry}.Name"] = name
            fields.update({f"{entry}.Value.{key}": text for key, text in value.items()})
        return original(resource, fields)

    original = sfn._SERVICE_DISPATCH[_PUBLISH]
    sfn._SERVICE_DISPATCH[_PUBLISH] = publish


@hook
def nested_start_errors() -> None:
    """Name errors of `states:startExecution` as the optimized integration does.

    MiniStack uses the API's bare code: `ExecutionAlreadyExists` instead of
    `StepFunctions.ExecutionAlreadyExistsException`.
    """

    def start(resource: str, arguments: Json) -> Any:
        try:
            return original(resource, arguments)
        except sfn._ExecutionError as error:
            name = f"StepFunctions.{error.error.removesuffix('Exception')}Exception"
            raise sfn._ExecutionError(name, error.cause) from None

    original = sfn._invoke_nested_start_execution
    sfn._invoke_nested_start_execution = start
