"""What a ruleset means: from text to tables. Nothing here knows BPF or netlink."""
