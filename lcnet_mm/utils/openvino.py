"""The OpenVINO Core that the whole process shares."""

from functools import cache

import openvino

# The CPU plugin computes in bfloat16 or float16 by itself on CPUs that have it, which breaks parity.
COMPILE_OPTIONS = dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY')


@cache
def openvino_core() -> openvino.Core:
    """Return the process's one Core, which is never destroyed.

    The CPU plugin of every Core sets the stack for signals (openvino#11894). Of two Cores that are not destroyed in
    reverse order the stack that is freed first stays set, and the next signal that Python handles crashes the process:
    the end of a subprocess is one once a data loader of torch has had workers.
    """
    return openvino.Core()
