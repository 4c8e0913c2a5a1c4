"""The platform room."""  # noqa: A005  the name of the package it mirrors
