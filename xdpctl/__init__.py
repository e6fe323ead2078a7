"""Count, filter and explain packets at the XDP hook of a Linux network interface."""

__version__ = "0.1.0"
