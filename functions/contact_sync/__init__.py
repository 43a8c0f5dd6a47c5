"""What the five functions share: values, decisions and adapters of one contact sync."""
