"""Lambda function primary-contact-processor."""
