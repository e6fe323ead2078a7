"""What can go wrong in a lab.

LabError
├── PrivilegeError          the process is not root
├── ToolMissingError        a program from util-linux is not installed
├── NamespaceError          a namespace could not be made, or its holder died
├── LabClosedError          the lab, or the host, is closed
├── InvalidValueError       a name, address or size that the kernel cannot take (also a ValueError)
│   └── TopologyFileError   a file does not describe a lab; the text has a line for each mistake
├── NameInUseError          a host or an interface of that name exists already
├── UnknownLabError         no lab that stays has that name
├── LabBusyError            processes run on hosts of a lab that is to go
├── InsideLabError          this process, or one that started it, runs on a host of a lab
├── UnknownHostError        the lab has no host of that name
├── UnknownInterfaceError   the host has no interface of that name
├── KernelError             the kernel refused; `errno` says why
├── SendError               frames could not be sent, or were dropped on the way
└── CaptureError            a capture cannot vouch for what it holds
    ├── CaptureLossError    frames arrived faster than they were read
    └── CaptureTimeoutError fewer frames than awaited arrived in time (also a TimeoutError)
"""


class LabError(Exception):
    """Base of all that a lab raises on purpose; its text is one line for a person to read."""


class PrivilegeError(LabError):
    """Making a network namespace needs root."""


class ToolMissingError(LabError):
    """A program that the lab starts is not on PATH."""


class NamespaceError(LabError):
    """A namespace could not be made, or its holder died."""


class LabClosedError(LabError):
    """The lab was closed, and its namespaces are gone."""


class InvalidValueError(LabError, ValueError):
    """A name, address or size is malformed; nothing was changed."""


class TopologyFileError(InvalidValueError):
    """A file does not describe a lab; the text has a line for each mistake."""


class NameInUseError(LabError):
    """A host or an interface of that name exists already."""


class UnknownLabError(LabError):
    """No lab that stays has that name."""


class LabBusyError(LabError):
    """Processes run on hosts of a lab that is to go; nothing was changed."""


class InsideLabError(LabError):
    """This process, or one that started it, runs on a host of a lab; nothing was changed."""


class UnknownHostError(LabError):
    """The lab has no host of that name."""


class UnknownInterfaceError(LabError):
    """The host has no interface of that name."""


class KernelError(LabError):
    """The kernel refused a request."""

    def __init__(self, message: str, errno: int) -> None:
        super().__init__(message)
        self.errno = errno


class UnclearDestinationError(InvalidValueError):
    """Several hosts can be reached over an interface, and none of them was named."""


class SendError(LabError):
    """Frames could not be sent, or were dropped before they reached the peer."""


class CaptureError(LabError):
    """A capture cannot vouch for what it holds."""


class CaptureLossError(CaptureError):
    """Frames arrived faster than they were read, and the kernel discarded some."""


class CaptureTimeoutError(CaptureError, TimeoutError):
    """Fewer frames than awaited arrived in time."""
