"""peoplegraph: one GraphQL schema over three REST systems that each know people."""

from importlib.metadata import version

from peoplegraph.app import create_app
from peoplegraph.settings import Settings

__version__ = version("peoplegraph")

__all__ = ["Settings", "__version__", "create_app"]
