"""What a user of the platform's own Python client writes: log in, subscribe over a WebSocket, look at presence.

`python official_client.py URL CLIENT_ID CLIENT_SECRET JWT EXTENSION...`; a line of JSON for each step. Ends after the
first call that has rung and ended, and is a program of its own: nothing of this project is imported.
"""

import asyncio
import json
import sys

from ringcentral.websocket.events import WebSocketEvents

from ringcentral import SDK

FILTER = "/restapi/v1.0/account/~/extension/{}/presence?detailedTelephonyState=true"


def tell(step, **what):
    print(json.dumps({"step": step} | what), flush=True)


def log_in(url, client_id, client_secret, jwt):
    platform = SDK(client_id, client_secret, url).platform()
    platform.login(jwt=jwt)
    tell("logged in", is_logged_in=platform.logged_in())
    before = platform.auth().access_token()
    platform.refresh()
    tell("refreshed", another=platform.auth().access_token() != before)
    me = platform.get("/restapi/v1.0/account/~/extension/~").json_dict()
    tell("me", id=me["id"], name=me["name"])
    listed = platform.get("/restapi/v1.0/account/~/extension", {"perPage": "2"}).json_dict()
    tell("extensions", ids=[one["id"] for one in listed["records"]], more="nextPage" in listed["navigation"])
    return platform


async def listen(sdk_platform, extensions):
    from ringcentral.websocket import WebSocketClient

    client, seen, done = WebSocketClient(sdk_platform), {}, asyncio.Event()

    def notified(frame):
        body = frame[1]["body"]
        for item in body["activeCalls"]:
            statuses = seen.setdefault(item["sessionId"], [])
            statuses.append(item["telephonyStatus"])
            if statuses[0] == "Ringing" and statuses[-1] == "NoCall":
                tell("call", session=item["sessionId"], statuses=statuses, extension=body["extensionId"])
                done.set()

    client.on(WebSocketEvents.connectionCreated, lambda _: tell("connected"))
    client.on(WebSocketEvents.subscriptionCreated, lambda _: tell("subscription created"))
    client.on(WebSocketEvents.receiveSubscriptionNotification, notified)
    connecting = asyncio.create_task(client.create_new_connection())
    while client.get_connection_info() is None:
        await asyncio.sleep(0.01)
    greeting = json.loads(client.get_connection_info()["connection_details"])
    tell("greeted", type=greeting[0]["type"])
    await client.create_subscription([FILTER.format(one) for one in extensions])
    await asyncio.wait({connecting, asyncio.create_task(done.wait())}, return_when=asyncio.FIRST_COMPLETED)
    await client.close_connection()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)


def main():
    url, client_id, client_secret, jwt, *extensions = sys.argv[1:]
    platform = log_in(url, client_id, client_secret, jwt)
    asyncio.run(asyncio.wait_for(listen(platform, extensions), 40))
    platform.logout()
    tell("logged out", is_logged_in=platform.logged_in())


if __name__ == "__main__":
    main()
