"""A loopback provider with the same wire format; simulated or recorded data."""
