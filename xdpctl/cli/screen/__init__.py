"""The dashboard's screen, on Textual; what it shows comes from `xdpctl.observe.monitor`."""
