"""Lambda function account-lister."""
