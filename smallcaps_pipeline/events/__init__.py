"""Events: bars in, detected moves out."""
