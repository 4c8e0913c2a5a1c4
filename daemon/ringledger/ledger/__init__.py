"""The ledger room: the only place with SQL.

One writer (:class:`~ringledger.ledger.ledger.Ledger`), any number of readers (:mod:`~ringledger.ledger.queries`).
What must stay true: a batch of changes and the feed position it brought us to are one transaction; tables are
internal, the views of :mod:`~ringledger.ledger.views` are what people query.
"""
