"""Tables of costs measured on this host or on a phone."""
