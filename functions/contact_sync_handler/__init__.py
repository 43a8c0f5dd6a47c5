"""Lambda function contact-sync-handler."""
