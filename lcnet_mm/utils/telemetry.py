"""No reports to third parties."""

import sys


def disable_telemetry() -> None:
    """Keep OpenVINO's and NNCF's telemetry from being loaded in this process.

    It forks while it waits for the internet: without a route to it, a quantization hangs for ever. Both packages take a
    stub of their own where ``openvino_telemetry`` cannot be imported, so it must be hidden before either is imported.
    Where it is imported already, nothing changes.
    """
    sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]  # as the import system documents
