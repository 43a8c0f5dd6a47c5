"""Resource properties that CloudFormation and MiniStack treat differently."""

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import cloudtrail, dynamodb, s3
from ministack.services.cloudformation import provisioners

from standin.ministack.executions import Json
from standin.ministack.registry import hook

Handler = Callable[..., Any]


@hook
def environment_texts() -> None:
    """Convert numbers and booleans in a function's environment to text.

    MiniStack keeps them, and then fails to start the function's process.
    """

    def with_texts(handler: Handler) -> Handler:
        def handle(*arguments: Any, **options: Any) -> Any:
            # create(logical_id, properties, ...) and update(physical_id, old, new, ...)
            converted = [
                _with_environment_texts(value) if isinstance(value, dict) else value
                for value in arguments
            ]
            return handler(*converted, **options)

        return handle

    _wrap("AWS::Lambda::Function", with_texts)


@hook
def dropped_properties() -> None:
    """Apply the encryption and the backups of tables, which MiniStack drops."""

    def then_apply(handler: Handler) -> Handler:
        def handle(*arguments: Any, **options: Any) -> Any:
            result = handler(*arguments, **options)
            properties = [value for value in arguments if isinstance(value, dict)][-1]
            _apply_table(result[0], properties)
            return result

        return handle

    _wrap("AWS::DynamoDB::Table", then_apply)


@hook
def missing_types() -> None:
    """Deploy trails, and accept query definitions; MiniStack refuses both."""
    provisioners._RESOURCE_HANDLERS["AWS::CloudTrail::Trail"] = {
        "create": lambda _id, properties, _stack: _create_trail(properties),
        "update": lambda _name, _old, properties, _stack: _update_trail(properties),
        "delete": _delete_trail,
    }
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": lambda _id, _properties, _stack: (new_uuid(), {}),
        "update": lambda definition, _old, _properties, _stack: (definition, {}),
        "delete": lambda _definition, _properties: None,
    }


@hook
def full_buckets() -> None:
    """Fail the deletion of a bucket that is not empty, and of its stack.

    MiniStack deletes the bucket with its objects.
    """

    def delete(name: str, properties: Json) -> None:
        if s3._buckets.get(name, {}).get("objects"):
            raise ValueError("The bucket you tried to delete is not empty")
        original(name, properties)

    handlers = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    original = handlers["delete"]
    handlers["delete"] = delete


def _wrap(kind: str, wrap: Callable[[Handler], Handler]) -> None:
    handlers = provisioners._RESOURCE_HANDLERS[kind]
    for action in ("create", "update"):
        handlers[action] = wrap(handlers[action])


def _with_environment_texts(properties: Json) -> Json:
    environment = properties.get("Environment")
    if not environment:
        return properties
    variables = {name: _text(value) for name, value in environment.get("Variables", {}).items()}
    return {**properties, "Environment": {**environment, "Variables": variables}}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _apply_table(name: str, properties: Json) -> None:
    if encryption := properties.get("SSESpecification"):
        given = {**encryption, "Enabled": _is_true(encryption.get("SSEEnabled"))}
        dynamodb._tables[name]["SSEDescription"] = dynamodb._sse_description_from_spec(given)
    if backups := properties.get("PointInTimeRecoverySpecification"):
        enabled = _is_true(backups.get("PointInTimeRecoveryEnabled"))
        dynamodb._pitr_settings[name] = enabled


def _create_trail(properties: Json) -> tuple[str, Json]:
    request = _trail_request(properties)
    status, _, body = cloudtrail._create_trail(request)
    if status != 200:
        raise ValueError(body)
    cloudtrail._start_logging(request)
    return request["Name"], {"Arn": json.loads(body)["TrailARN"]}


def _update_trail(properties: Json) -> tuple[str, Json]:
    request = _trail_request(properties)
    status, _, body = cloudtrail._update_trail(request)
    if status != 200:
        raise ValueError(body)
    return request["Name"], {"Arn": json.loads(body)["TrailARN"]}


def _delete_trail(name: str, properties: Json) -> None:
    """Delete a trail, then store one more log: CloudTrail delivers late, after the deletion."""
    cloudtrail._delete_trail({"Name": name})
    s3._put_object(properties["S3BucketName"], f"AWSLogs/{name}/last.json.gz", b"", {})


def _trail_request(properties: Json) -> Json:
    """Return the trail in the format of the CloudTrail API."""
    names = {"TrailName": "Name", "KMSKeyId": "KmsKeyId"}
    return {
        names.get(name, name): value if name in _TEXTS else _is_true(value)
        for name, value in properties.items()
    }


# A trail's properties that are not booleans.
_TEXTS = ("TrailName", "KMSKeyId", "S3BucketName")
