"""What commands may ask of a running daemon, over a Unix socket."""
