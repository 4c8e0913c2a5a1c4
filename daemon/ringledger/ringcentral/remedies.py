"""What a person can do about a request that RingCentral refuses, by its error code.

What must stay true: a remedy names what to check or change; a code that is not here has none of its own.
"""

from typing import Final

REMEDIES: Final = {
    "CMN-101": "check the numbers",
    "CMN-102": "check the numbers; `ringledger presence` lists known extensions",
    "MSG-304": "send from a number of your own extension that may send texts",
    "MSG-316": "the department has no members; name somebody else",
    "MSG-324": "the recipient's extension is disabled; name somebody else",
    "MSG-325": "the page is too old to be answered; send a new one",
    "MSG-326": "you no longer take part in that conversation; send a new page",
    "MSG-330": "a department cannot send; log in as a person",
    "MSG-331": "log in as the sender",
}
