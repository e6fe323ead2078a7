"""Our program on an interface: load, attach, swap, detach, find again, read."""
