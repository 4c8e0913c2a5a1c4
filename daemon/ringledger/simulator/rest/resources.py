"""The plain resources: version, account, extensions, presence. All but the version need an access token.

Other families of routes (active-calls, call log, ...) are classes of the same shape: ``add_routes(router)``.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from ringledger.simulator.exchange.model import Extension, strongest
from ringledger.simulator.exchange.pbx import Pbx
from ringledger.simulator.push.payloads import Json, standing_of
from ringledger.simulator.rest.answers import invalid, not_found
from ringledger.simulator.rest.oauth import OAuth

API = "/restapi/v1.0"
MAX_PER_PAGE = 1000
TRUE = frozenset({"true", "1", "True"})


class Rest:
    """Reads of the account's directory and of presence."""

    def __init__(self, pbx: Pbx, oauth: OAuth) -> None:
        self.pbx, self.oauth, self.base_url = pbx, oauth, ""

    def add_routes(self, router: web.UrlDispatcher) -> None:
        account = API + "/account/{account}"
        router.add_get("/restapi", self.version)
        router.add_get("/restapi/", self.version)
        router.add_get(account, self.account)
        router.add_get(account + "/extension", self.extensions)
        router.add_get(account + "/extension/{extension}", self.extension)
        router.add_get(account + "/extension/{extension}/presence", self.presence)

    async def version(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "uri": f"{self.base_url}/restapi/",
                "apiVersions": [{"uri": f"{self.base_url}{API}", "versionString": "1.0.60", "uriString": "v1.0"}],
                "serverVersion": "ringledger simulator",
            }
        )

    async def account(self, request: web.Request) -> web.Response:
        self.oauth.require(request)
        return web.json_response(
            {
                "id": int(self.account_of(request)),
                "uri": f"{self.base_url}{API}/account/{self.pbx.account_id}",
                "mainNumber": "+16505551000",
                "status": "Confirmed",
                "setupWizardState": "Completed",
            }
        )

    async def extensions(self, request: web.Request) -> web.Response:
        """GET .../extension: all extensions, paged."""
        self.oauth.require(request)
        self.account_of(request)
        records = [self._describe(e) for e in self.pbx.extensions.values()]
        uri = f"{self.base_url}{API}/account/{self.pbx.account_id}/extension"
        return web.json_response(page_of(records, request, uri))

    async def extension(self, request: web.Request) -> web.Response:
        found = self._describe(self.find_extension(request))
        return web.json_response(found | {"account": {"id": self.pbx.account_id}})

    async def presence(self, request: web.Request) -> web.Response:
        """GET .../presence: with ``detailedTelephonyState`` all calls, uncut."""
        extension = self.find_extension(request)
        items = self.pbx.items(extension.id)
        status = strongest([item["telephonyStatus"] for item in items])
        uri = self.uri_of(extension)
        answer: Json = {
            "uri": uri + "/presence",
            "extension": {"id": int(extension.id), "uri": uri, "extensionNumber": extension.number},
            "telephonyStatus": status,
            "aggregatedTelephonyStatus": status,
            **standing_of(extension, status),
        }
        if request.query.get("detailedTelephonyState") in TRUE or request.query.get("sipData") in TRUE:
            answer["activeCalls"] = items
        return web.json_response(answer)

    def find_extension(self, request: web.Request) -> Extension:
        """The extension the path names (``~``: the token's owner); CMN-102 when there is none."""
        owner = self.oauth.require(request)
        self.account_of(request)
        wanted = request.match_info["extension"]
        extension = self.pbx.extensions.get(owner if wanted == "~" else wanted)
        if extension is None:
            raise not_found("extensionId")
        return extension

    def account_of(self, request: web.Request) -> str:
        """The account's id; CMN-102 when the path names another."""
        if request.match_info["account"] not in ("~", self.pbx.account_id):
            raise not_found("accountId")
        return self.pbx.account_id

    @property
    def account_uri(self) -> str:
        return f"{self.base_url}{API}/account/{self.pbx.account_id}"

    def uri_of(self, extension: Extension) -> str:
        return f"{self.account_uri}/extension/{extension.id}"

    def _describe(self, extension: Extension) -> Json:
        first, _, last = extension.name.partition(" ")
        return {
            "id": int(extension.id),
            "uri": self.uri_of(extension),
            "extensionNumber": extension.number,
            "name": extension.name,
            "contact": {"firstName": first, "lastName": last},
            "type": "User",
            "status": "Enabled",
        }


def page_of(records: Sequence[Any], request: web.Request, uri: str, *, totals: bool = True) -> Json:
    """One page of a collection, with ``paging`` and ``navigation`` as the platform gives them; it does not always
    give ``totals``."""
    page, per_page = _number(request, "page", 1), _number(request, "perPage", 100)
    pages = max(1, -(-len(records) // per_page))
    start = (page - 1) * per_page
    shown = records[start : start + per_page]
    rest = "".join(f"&{k}={quote(v)}" for k, v in request.query.items() if k not in ("page", "perPage"))

    def link(number: int) -> Json:
        return {"uri": f"{uri}?page={number}&perPage={per_page}{rest}"}

    navigation = {"firstPage": link(1), "lastPage": link(pages)}
    if page < pages:
        navigation["nextPage"] = link(page + 1)
    if page > 1:
        navigation["previousPage"] = link(page - 1)
    return {
        "uri": link(page)["uri"],
        "records": shown,
        "paging": {
            "page": page,
            "perPage": per_page,
            "pageStart": start,
            "pageEnd": start + max(0, len(shown) - 1),
            **({"totalPages": pages, "totalElements": len(records)} if totals else {}),
        },
        "navigation": navigation,
    }


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if text == "max" and name == "perPage":
        return MAX_PER_PAGE
    if not text.isdecimal() or not 1 <= int(text) <= (MAX_PER_PAGE if name == "perPage" else 10**6):
        raise invalid(name)
    return int(text)
