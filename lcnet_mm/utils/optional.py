"""What is installed, and one clear line for what is not."""

from importlib.util import find_spec


def installed(package: str) -> bool:
    """Whether a package can be imported; also False where an import hook forbids it."""
    try:
        return find_spec(package) is not None
    except ImportError:
        return False


def require(package: str, needed_by: str, extra: str) -> None:
    """Raise an ImportError that names the pip command if ``package`` is not installed."""
    if not installed(package):
        raise ImportError(f"{needed_by} needs the package '{package}': pip install 'lcnet-mm[{extra}]'")
