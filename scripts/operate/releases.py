"""The store of releases: what each deployment was made of, for rollback.sh to go back to.

A release is the packaged template and the parameters. It is in the bucket that has the code which
the template names, under `<stack>/releases/<time>-<digest>/`. The stack's parameter `Release` has
its address, so which one runs is known. `parameters` is written last: without it there is none.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from operate.aws import Aws, pages
from operate.stacks import Stack, find_stack

# The stack of the bucket that `sam package` makes.
SAM_STACK = "aws-sam-cli-managed-default"
KEPT = 10
# Not part of a release: its own address, and a switch that stays as it is when going back.
APART = ("Release", "Triggers")


def own_bucket(stack: Stack | None) -> str | None:
    """Return the bucket of the stack's code and releases, if the stack knows it."""
    address = stack.parameters.get("Release") if stack else ""
    return address.split("/")[2] if address else None


def sam_bucket(aws: Aws) -> str | None:
    """Return the bucket that `sam package` made, if it did."""
    made = find_stack(aws, SAM_STACK)
    return made.outputs.get("SourceBucket") if made else None


def running_release(stack: Stack | None) -> str:
    """Return the name of the release that the stack runs, empty where it is not known."""
    return stack.parameters.get("Release", "").rpartition("/")[2] if stack else ""


def name_release(template: str, parameters: dict[str, str], running: str) -> str:
    """Return the name of the release: that of the running one where it is the same."""
    own = {name: value for name, value in parameters.items() if name not in APART}
    content = template + json.dumps(own, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return (
        running
        if running.endswith(f"-{digest}")
        else f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{digest}"
    )


class Releases:
    """The releases of one stack."""

    def __init__(self, aws: Aws, stack_name: str, bucket: str) -> None:
        self._s3: Any = aws.client("s3")
        self._prefix = f"{stack_name}/releases/"
        self.bucket = bucket

    def address(self, name: str) -> str:
        """Return the value of the parameter `Release`."""
        return f"s3://{self.bucket}/{self._prefix}{name}"

    def template(self, name: str) -> dict[str, str]:
        """Return where CloudFormation finds the template."""
        key = self._key(name, "template.yaml")
        return {"TemplateURL": f"{self._s3.meta.endpoint_url}/{self.bucket}/{key}"}

    def put_template(self, name: str, text: str) -> None:
        """Store the template, before it is deployed."""
        self._put(name, "template.yaml", text)

    def complete(self, name: str, parameters: dict[str, str]) -> None:
        """Make what is deployed a release, and forget the oldest ones."""
        lines = [f"{key}={value}\n" for key, value in sorted(parameters.items())]
        self._put(name, "parameters", "".join(lines))
        for old in self.names(datetime.min.replace(tzinfo=UTC))[:-KEPT]:
            self.forget(old)

    def names(self, since: datetime) -> list[str]:
        """Return the releases that were completed since then, the oldest first."""
        place = {"Bucket": self.bucket, "Prefix": self._prefix}
        return sorted(
            found["Key"].split("/")[-2]
            for found in pages(self._s3, "list_objects_v2", "Contents", **place)
            if found["Key"].endswith("/parameters") and found["LastModified"] >= since
        )

    def parameters(self, name: str) -> dict[str, str]:
        """Return the parameters of a release."""
        answer = self._s3.get_object(Bucket=self.bucket, Key=self._key(name, "parameters"))
        lines = answer["Body"].read().decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def forget(self, name: str) -> None:
        """Delete a release; first what makes it one."""
        for file in ("parameters", "template.yaml"):
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(name, file))

    def _put(self, name: str, file: str, text: str) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=self._key(name, file), Body=text.encode())

    def _key(self, name: str, file: str) -> str:
        return f"{self._prefix}{name}/{file}"
