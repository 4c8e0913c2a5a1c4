"""A simulated RingCentral: REST, PubNub, presence, and the calls that drive them.

It is an independent opinion of what the platform does: it imports nothing of the rooms it is used to test.
"""

from ringledger.simulator.app import Options, Simulator
from ringledger.simulator.clock import SimClock
from ringledger.simulator.faultplan import FAULT_NAMES, parse_fault
from ringledger.simulator.model import CallTruth, Extension, SimCall
from ringledger.simulator.oauth import Credentials
from ringledger.simulator.office import Office
from ringledger.simulator.pbx import Pbx, default_extensions
from ringledger.simulator.ringout import RingOutOptions
from ringledger.simulator.scenario import load_story
from ringledger.simulator.shelf import BooksOptions
from ringledger.simulator.story import Story, StoryError

__all__ = [
    "FAULT_NAMES",
    "BooksOptions",
    "CallTruth",
    "Credentials",
    "Extension",
    "Office",
    "Options",
    "Pbx",
    "RingOutOptions",
    "SimCall",
    "SimClock",
    "Simulator",
    "Story",
    "StoryError",
    "default_extensions",
    "load_story",
    "parse_fault",
]
