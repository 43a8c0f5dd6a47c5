"""What the functions share: values and decisions; `aws` has everything that calls AWS."""
