"""`ringledger serve`: a read API and a page over the ledger's views, in a process of its own.

Enter by :func:`ringledger.web.server.serve`. What must stay true: nothing here writes, asks the platform, or imports
the daemon's service; the libraries of the extra ``ringledger[web]`` are imported here alone.
"""
