"""True calls, and everything the platform would say of them: what the ledger's rows are judged by.

`world` is what happens, `kinds` the calls there are, `pairs` calls near one another, `voices` what the platform says of
them, `arrival` the order in which it comes, `playing` the tracker under test, `filing` all that lies between the wire
and the disk. A story is made from a seed alone and says what a right row is. What must stay true: the truth follows
from what happened and from the rules, never from what the program makes of it.
"""
