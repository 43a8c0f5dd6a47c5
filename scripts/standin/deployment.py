"""Deploys a SAM template to the stand-in as `sam deploy` would, without its CLI."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from standin.errors import StandinError

Json = dict[str, Any]
Build = Callable[[Path], Path]

ARTIFACTS_BUCKET = "standin-artifacts"
DEPLOY_SECONDS = 120.0
POLL_SECONDS = 0.05


def upload_artifacts(s3: Any, template: Json, folder: Path, build_code: Build) -> str:
    """Upload local code and definitions, and the template that references them; return its URL."""
    s3.create_bucket(Bucket=ARTIFACTS_BUCKET)
    uploaded: dict[str, Json] = {}

    def store(name: str, content: bytes) -> str:
        # CloudFormation detects new content only by a new key.
        key = f"{hashlib.sha256(content).hexdigest()[:12]}/{name}"
        s3.put_object(Bucket=ARTIFACTS_BUCKET, Key=key, Body=content)
        return key

    def upload(file: Path) -> Json:
        return {"Bucket": ARTIFACTS_BUCKET, "Key": store(file.name, file.read_bytes())}

    def point(properties: Json, name: str, build: Build) -> None:
        local = properties.get(name)
        if isinstance(local, str) and not local.startswith("s3://"):
            if local not in uploaded:
                uploaded[local] = upload(build(folder / local))
            properties[name] = uploaded[local]

    point(template.get("Globals", {}).get("Function", {}), "CodeUri", build_code)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        point(properties, "CodeUri", build_code)
        point(properties, "DefinitionUri", lambda file: file)
    # An inline template is limited to 51,200 bytes.
    text = json.dumps(template, separators=(",", ":"), default=str)
    return f"{s3.meta.endpoint_url}/{ARTIFACTS_BUCKET}/{store('template.json', text.encode())}"


def deploy_stack(
    cloudformation: Any, name: str, template_url: str, parameters: Mapping[str, str]
) -> dict[str, str]:
    """Create or update the stack; return its outputs. Raises StandinError with the events."""
    request = {
        "StackName": name,
        "TemplateURL": template_url,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    exists = _find_stack(cloudformation, name) is not None
    try:
        (cloudformation.update_stack if exists else cloudformation.create_stack)(**request)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise StandinError(f"stack {name} did not deploy: {error}") from error
    stack = _wait_for_stack(cloudformation, name)
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _wait_for_stack(cloudformation: Any, name: str) -> Json:
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        stack = _find_stack(cloudformation, name) or {}
        if stack.get("StackStatus") in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return stack
        if not stack.get("StackStatus", "").endswith("IN_PROGRESS"):
            break
        time.sleep(POLL_SECONDS)
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        f"{event['LogicalResourceId']} {event['ResourceStatus']}: {event['ResourceStatusReason']}"
        for event in reversed(events)
        if event.get("ResourceStatusReason")
    ]
    raise StandinError(f"stack {name} did not deploy:\n" + "\n".join(reasons))


def _find_stack(cloudformation: Any, name: str) -> Json | None:
    try:
        stack: Json = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError:
        return None
    return stack
