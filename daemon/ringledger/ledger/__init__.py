"""The ledger room: the only place with SQL.

One writer (:class:`~ringledger.ledger.write.store.Ledger`), any number of readers
(:mod:`~ringledger.ledger.read.queries`).
What must stay true: a batch of changes and the feed position it brought us to are one transaction; tables are
internal, the views of :mod:`~ringledger.ledger.schema.views` are what people query.
"""
