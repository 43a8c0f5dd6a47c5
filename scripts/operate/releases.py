"""The stored releases, to which rollback.sh can roll back.

A release is the packaged template and its parameters. It is in the bucket that has the template's
code, under `<stack>/releases/<time>-<digest>/`. The stack's parameter `Release` has its S3 URI.
`parameters` is written last, and makes the release complete.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from operate.aws import Aws, pages
from operate.stacks import Stack, find_stack

# The stack of the bucket that `sam package` creates.
SAM_STACK = "aws-sam-cli-managed-default"
KEPT = 10
# Not part of a release: its own address, and the triggers, which a rollback does not change.
APART = ("Release", "Triggers")
EVER = datetime.min.replace(tzinfo=UTC)


def own_bucket(stack: Stack | None) -> str | None:
    """Return the bucket of the stack's code and releases, if the stack has one."""
    address = stack.parameters.get("Release") if stack else ""
    return address.split("/")[2] if address else None


def sam_bucket(aws: Aws) -> str | None:
    """Return the bucket that `sam package` created, if there is one."""
    made = find_stack(aws, SAM_STACK)
    return made.outputs.get("SourceBucket") if made else None


def running_release(stack: Stack | None) -> str:
    """Return the name of the stack's current release, empty if it is not known."""
    return stack.parameters.get("Release", "").rpartition("/")[2] if stack else ""


def name_release(template: str, parameters: dict[str, str], running: str) -> str:
    """Return the name of the release: the current one's if the content is the same."""
    own = {name: value for name, value in parameters.items() if name not in APART}
    content = template + json.dumps(own, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    if running.endswith(f"-{digest}"):
        return running
    # The clock of the machine that deployed the current one may have been ahead.
    before = running.partition("-")[0]
    return f"{max(f'{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}', before and f'{before}Z')}-{digest}"


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
        """Return the TemplateURL for CloudFormation."""
        key = self._key(name, "template.yaml")
        return {"TemplateURL": f"{self._s3.meta.endpoint_url}/{self.bucket}/{key}"}

    def put_template(self, name: str, text: str) -> None:
        """Store the template, before it is deployed."""
        self._put(name, "template.yaml", text)

    def complete(self, name: str, parameters: dict[str, str], before: str) -> None:
        """Complete the release after its deployment, and delete the oldest ones.

        Also delete those after `before`: a rollback from them was interrupted.
        """
        names = self.names()
        for left in names[names.index(before) + 1 :] if before in names else []:
            self.forget(left)
        lines = [f"{key}={value}\n" for key, value in sorted(parameters.items())]
        self._put(name, "parameters", "".join(lines))
        for old in self.names()[:-KEPT]:
            self.forget(old)

    def names(self, since: datetime = EVER) -> list[str]:
        """Return the releases completed since then, oldest first."""
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

    def newest(self) -> dict[str, str]:
        """Return the parameters of the last deployment that was not interrupted."""
        names = self.names()
        return self.parameters(names[-1]) if names else {}

    def forget(self, name: str) -> None:
        """Delete a release; `parameters` first, without which it is incomplete."""
        for file in ("parameters", "template.yaml"):
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(name, file))

    def _put(self, name: str, file: str, text: str) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=self._key(name, file), Body=text.encode())

    def _key(self, name: str, file: str) -> str:
        return f"{self._prefix}{name}/{file}"
