"""What the scripts are made of."""
