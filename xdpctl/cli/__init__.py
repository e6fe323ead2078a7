"""The command line: one short module for each command. It parses, calls and renders."""
