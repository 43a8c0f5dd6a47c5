"""One environment from its first deployment to its restored backup, all by the scripts."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.cli import Result, run
from support.project import EMAIL, Project, project

Json = dict[str, Any]
EXCLUDED = "100000000002"


@pytest.fixture(name="cloud")
def _cloud(tmp_path: Any) -> Iterator[Project]:
    with project(tmp_path, accounts=3, with_requirements=True) as made:
        yield made


def test_lifecycle(cloud: Project) -> None:
    """Deployed, changed, upgraded, taken back, deleted and restored, both tables and all accounts
    are what they were."""
    trails = cloud.standin.client("cloudtrail")
    trails.create_trail(Name="everything", S3BucketName="trail", IsMultiRegionTrail=True)
    trails.start_logging(Name="everything")
    succeeded(cloud.deploy("--notification-email", EMAIL))
    succeeded(dev(cloud, "config.sh", "exclude", EXCLUDED, "--yes"))
    told = succeeded(dev(cloud, "resync.sh", "--follow"))
    assert "SUCCEEDED: [dev] contact sync success: 2 updated" in told
    first = stored(cloud)
    succeeded(dev(cloud, "validate.sh"))

    cloud.edit("template.yaml", "\nOutputs:\n", "\nOutputs:\n  New:\n    Value: new\n")
    succeeded(cloud.deploy("--log-level", "WARNING"))
    assert "WARNING" == cloud.parameters()["LogLevel"]
    cloud.restore("template.yaml")
    output = str(cloud.folder / "saved")
    options = ["--force", "--backup-data", "--output", output]
    succeeded(back(cloud, *options))
    assert "" == cloud.parameters()["LogLevel"]
    assert first == stored(cloud)

    succeeded(back(cloud, "--delete", "--force"))
    assert {} == cloud.stack()
    succeeded(cloud.deploy())
    succeeded(dev(cloud, "restore.sh", "--input", output, "--yes"))
    assert first == stored(cloud)

    told = succeeded(dev(cloud, "resync.sh", "--follow"))
    assert "SUCCEEDED: [dev] contact sync success: 2 unchanged" in told


def dev(cloud: Project, script: str, *options: str) -> Result:
    """Run a script that needs no copy; the copy's functions have other requirements."""
    return run(script, *options, "--environment", "dev", environment=cloud.environment)


def back(cloud: Project, *options: str) -> Result:
    return cloud.run("rollback.sh", "--environment", "dev", *options)


def succeeded(result: Result) -> str:
    assert 0 == result.returncode, result.stdout + result.stderr
    return result.stdout


def stored(cloud: Project) -> list[Json]:
    """Return what both tables hold but the lock, in one order."""
    dynamodb = cloud.standin.client("dynamodb")
    items: list[Json] = []
    for name in ("config", "state"):
        items += dynamodb.scan(TableName=f"aws-contact-sync-dev-{name}")["Items"]
    return sorted((item for item in items if item.get("pk") != {"S": "LOCK"}), key=repr)
