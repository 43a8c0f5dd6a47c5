"""One AWS service, or one kind of item, per module; the only place that imports boto3."""
