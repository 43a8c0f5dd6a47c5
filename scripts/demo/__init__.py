"""Shows a whole run of the contact sync on this machine."""
