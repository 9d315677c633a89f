"""The systems of record, one folder each. Everything that loops over them loops over `BACKENDS`."""

from peoplegraph.backends.base import Backend
from peoplegraph.backends.billtrust_collections import COLLECTIONS
from peoplegraph.backends.billtrust_disputes import DISPUTES
from peoplegraph.backends.rpm import RPM

BACKENDS: tuple[Backend, ...] = (COLLECTIONS, DISPUTES, RPM)
