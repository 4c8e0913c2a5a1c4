"""The writing side: one writer, one transaction for each batch, the outbox."""
