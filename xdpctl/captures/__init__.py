"""Capture files: pcap and pcapng are read in batches, pcapng is written.

Nothing here touches BPF or an interface, and no packet becomes a Python object unless asked for.
"""
