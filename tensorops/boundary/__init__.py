"""The entry of each operation: validates, broadcasts, allocates, and calls a kernel."""
