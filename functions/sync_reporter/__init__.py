"""Lambda function sync-reporter."""
