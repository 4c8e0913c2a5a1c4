"""What is deleted and masked: retention, purge, and where a number is mentioned."""
