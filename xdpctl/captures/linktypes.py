"""Link types of capture files.

Source: https://www.tcpdump.org/linktypes.html
"""

from __future__ import annotations

ETHERNET = 1
