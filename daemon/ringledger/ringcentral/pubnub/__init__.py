"""The PubNub feed: the SDK's client, the receiver of its answers, the payload's decryption."""
