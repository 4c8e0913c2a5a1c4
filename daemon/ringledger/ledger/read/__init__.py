"""What readers of the ledger share: which calls are asked for (``filters``) and how times are written (``periods``)."""
