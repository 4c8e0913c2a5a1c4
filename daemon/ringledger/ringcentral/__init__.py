"""The only room that knows RingCentral's field names: bytes come in, domain observations go out."""
