"""What a ruleset means: its file, its values, the tables that it is compiled to, and in `reference`
what it means for a packet.

Nothing here touches BPF, netlink or an interface; all of it works without privileges. NumPy and
PyYAML are imported by the modules and functions that need them, not by this package.
"""
