"""Networks for tests: hosts that are network namespaces, joined by veth pairs, gone without trace.

Needs root, Linux 5.4 or later, and util-linux. Start with `Lab`.
"""

from netns_lab.capture import Capture
from netns_lab.errors import (
    CaptureError,
    CaptureLossError,
    CaptureTimeoutError,
    InvalidValueError,
    KernelError,
    LabClosedError,
    LabError,
    NameInUseError,
    NamespaceError,
    PrivilegeError,
    SendError,
    ToolMissingError,
    UnknownHostError,
    UnknownInterfaceError,
)
from netns_lab.frames import Frame
from netns_lab.host import Host, Port
from netns_lab.lab import Lab
from netns_lab.link import Link
from netns_lab.netlink import Interface

__all__ = [
    "Capture",
    "CaptureError",
    "CaptureLossError",
    "CaptureTimeoutError",
    "Frame",
    "Host",
    "Interface",
    "InvalidValueError",
    "KernelError",
    "Lab",
    "LabClosedError",
    "LabError",
    "Link",
    "NameInUseError",
    "NamespaceError",
    "Port",
    "PrivilegeError",
    "SendError",
    "ToolMissingError",
    "UnknownHostError",
    "UnknownInterfaceError",
]
