"""The expanded template of one deployment, with conditions and references resolved."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
ACCOUNT = "999999999999"
ORGANIZATION = "o-exampleorg1"
REGION = "us-east-1"

# CloudFormation's results of GetAtt Arn, after arn:<partition>:.
ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{TableName}",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{Name}",
    "AWS::IAM::ManagedPolicy": "iam::{account}:policy/{logical_id}",
    "AWS::IAM::Role": "iam::{account}:role/{stack}-{logical_id}-1A2B3C4D5E6F",
    "AWS::KMS::Key": "kms:{region}:{account}:key/{logical_id}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{FunctionName}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{LogGroupName}:*",
    "AWS::S3::Bucket": "s3:::{BucketName}",
    "AWS::SecretsManager::Secret": "secretsmanager:{region}:{account}:secret:{logical_id}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{TopicName}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{QueueName}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{StateMachineName}",
}
REF_IS_ARN = {
    "AWS::IAM::ManagedPolicy",
    "AWS::SecretsManager::Secret",
    "AWS::SNS::Topic",
    "AWS::StepFunctions::StateMachine",
}
NAMES = (
    "AlarmName",
    "AliasName",
    "BucketName",
    "DashboardName",
    "FunctionName",
    "LogGroupName",
    "Name",
    "QueueName",
    "StateMachineName",
    "TableName",
    "TopicName",
)
NO_VALUE = object()


def event_rule(event: str) -> str:
    """Return the logical ID of SAM's rule for an event of the state machine."""
    return f"ContactSyncStateMachine{event}"


def source_template() -> dict[str, Any]:
    """Return template.yaml unchanged."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return template


def forwarding_template() -> dict[str, Any]:
    """Return the template of the stack that forwards events from other Regions."""
    template: dict[str, Any] = yaml_parse((ROOT / "scripts" / "forwarding.yaml").read_text())
    return template


def expand(template: dict[str, Any]) -> dict[str, Any]:
    """Return the packaged template after the SAM transform."""
    packaged = copy.deepcopy(template)
    packaged["Globals"]["Function"]["CodeUri"] = "s3://packages/functions.zip"
    machine = packaged["Resources"]["ContactSyncStateMachine"]
    machine["Properties"]["DefinitionUri"] = "s3://packages/contact_sync.asl.json"
    session = boto3.Session(region_name=REGION)
    expanded: dict[str, Any] = Translator({}, Parser(), None, session).translate(packaged, {})
    return expanded


class Stack:
    """One deployment of the expanded template."""

    def __init__(
        self,
        template: dict[str, Any],
        environment: str = "dev",
        partition: str = "aws",
        **parameters: str | int,
    ) -> None:
        self.template = template
        defaults = {
            name: str(definition["Default"])
            for name, definition in template["Parameters"].items()
            if "Default" in definition
        }
        self.name = f"aws-contact-sync-{environment}"
        self.values = defaults | {
            "ManagementAccountId": ACCOUNT,
            "OrganizationId": ORGANIZATION,
            "Environment": environment,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": partition,
            "AWS::Region": REGION,
            "AWS::StackName": self.name,
            **{name: str(value) for name, value in parameters.items()},
        }
        self.partition = partition

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """Return the deployed resources of a type, by logical ID."""
        return {
            logical_id: self.resolve(resource.get("Properties", {}))
            for logical_id, resource in self._deployed()
            if resource["Type"] == resource_type
        }

    def deployed(self) -> dict[str, Any]:
        """Return a template of the deployed resources, with everything resolved."""
        resources = {
            logical_id: {
                **{key: resource[key] for key in ("Type", "Metadata") if key in resource},
                "Properties": self.resolve(resource.get("Properties", {})),
            }
            for logical_id, resource in self._deployed()
        }
        return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}

    def properties(self, logical_id: str) -> dict[str, Any]:
        """Return a resource's properties."""
        properties: dict[str, Any] = self.resolve(
            self.template["Resources"][logical_id]["Properties"]
        )
        return properties

    def physical_names(self) -> set[str]:
        """Return every name that the template assigns."""
        return {
            properties[key]
            for _, resource in self._deployed()
            for properties in [self.resolve(resource.get("Properties", {}))]
            for key in NAMES
            if key in properties
        }

    def arn(self, logical_id: str) -> str:
        """Return a resource's ARN."""
        resource = self.template["Resources"][logical_id]
        ending = ARNS[resource["Type"]].format(
            region=self.values["AWS::Region"],
            account=ACCOUNT,
            logical_id=logical_id,
            stack=self.name,
            **{
                "BucketName": self._bucket_name(logical_id),
                **{key: self.resolve(value) for key, value in resource["Properties"].items()},
            },
        )
        return f"arn:{self.partition}:{ending}"

    def output(self, name: str) -> Any:
        """Return an output's value."""
        return self.resolve(self.template["Outputs"][name]["Value"])

    def resolve(self, value: Any) -> Any:
        """Return a value with its intrinsic functions evaluated."""
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Condition" and isinstance(argument, str):
                return self._condition(argument)
            if function.startswith("Fn::"):
                return self._call(function.removeprefix("Fn::"), argument)
        items_by_key = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in items_by_key.items() if item is not NO_VALUE}

    def _deployed(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for logical_id, resource in self.template["Resources"].items():
            if "Condition" not in resource or self._condition(resource["Condition"]):
                yield logical_id, resource

    def _call(self, function: str, argument: Any) -> Any:
        if function == "If":
            condition, when_true, when_false = argument
            return self.resolve(when_true if self._condition(condition) else when_false)
        if function == "GetAtt":
            logical_id, attribute = argument.split(".") if isinstance(argument, str) else argument
            return self._attribute(logical_id, attribute)
        if function == "Sub":
            text, variables = argument if isinstance(argument, list) else (argument, {})
            return self._sub(text, self.resolve(variables))
        arguments = [self.resolve(item) for item in argument]
        if function == "FindInMap":
            mapping, first, second = arguments
            return self.template["Mappings"][mapping][first][second]
        return _compute(function, arguments)

    def _condition(self, name: str) -> bool:
        return bool(self.resolve(self.template["Conditions"][name]))

    def _sub(self, text: str, variables: dict[str, Any]) -> str:
        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            if name in variables:
                return str(variables[name])
            if "." in name:
                return str(self._attribute(*name.split(".")))
            return str(self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value_of, text)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.values:
            return self.values[name]
        resource = self.template["Resources"][name]
        if resource["Type"] in REF_IS_ARN:
            return self.arn(name)
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::S3::Bucket" and "BucketName" not in properties:
            return self._bucket_name(name)
        return next((self.resolve(properties[key]) for key in NAMES if key in properties), name)

    def _bucket_name(self, logical_id: str) -> str:
        """Return a name like those that CloudFormation generates for unnamed buckets."""
        return f"{self.name}-{logical_id}".lower()

    def _attribute(self, logical_id: str, attribute: str) -> str:
        if attribute == "Arn":
            return self.arn(logical_id)
        if attribute in ("Name", "QueueName"):
            return str(self._ref(logical_id)).rpartition(":")[2]
        raise NotImplementedError(attribute)


def _compute(function: str, arguments: list[Any]) -> bool:
    if function == "Equals":
        return str(arguments[0]) == str(arguments[1])
    if function == "Not":
        return not arguments[0]
    if function == "And":
        return all(arguments)
    raise NotImplementedError(function)
