"""One clear line for a package that an optional part of this one needs."""

from importlib.util import find_spec


def require(package: str, needed_by: str, extra: str) -> None:
    """Raise an ImportError that names the pip command if ``package`` is not installed."""
    if find_spec(package) is None:
        raise ImportError(f"{needed_by} needs the package '{package}': pip install 'lcnet-mm[{extra}]'")
