"""Lambda function alternate-contact-processor."""
