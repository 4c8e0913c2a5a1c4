"""A simulated RingCentral: REST, PubNub, presence, and the calls that drive them.

It is an independent opinion of what the platform does: it imports nothing of the rooms it is used to test.
"""

from ringledger.simulator.app import Options, Simulator
from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.call_log import BooksOptions
from ringledger.simulator.exchange.model import CallTruth, Extension, SimCall
from ringledger.simulator.exchange.office import Office
from ringledger.simulator.exchange.past import remember
from ringledger.simulator.exchange.pbx import Pbx, default_extensions
from ringledger.simulator.faults.plan import FAULT_NAMES, parse_fault
from ringledger.simulator.rest.oauth import Credentials
from ringledger.simulator.rest.ringout import RingOutOptions
from ringledger.simulator.story.parser import load_story
from ringledger.simulator.story.story import Story, StoryError

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
    "remember",
]
