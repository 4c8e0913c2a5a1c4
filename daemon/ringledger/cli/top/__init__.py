"""`top`: the live view, its layout and what it shows."""
