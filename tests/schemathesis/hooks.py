"""What Schemathesis cannot read in the documents of a Vestibule service: the credentials of its
demo tenants, which ids exist, and rules that OpenAPI 3.0 has no words for.

VESTIBULE_CREDENTIALS names the `dev-credentials.json` of the service under test. Nothing here makes
an invalid request valid or looks away from an answer: invalid requests are sent as generated.
"""

import hashlib
import hmac
import itertools
import json
import os
import time
import uuid

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["VESTIBULE_CREDENTIALS"], encoding="utf-8") as file:
    DEMO = json.load(file)

# Never the same millisecond twice: a signature opens one session.
TIMESTAMPS = itertools.count(time.time_ns() // 1_000_000)

# Which settings belong to which kind of key; the others are for every kind.
KEY_SETTINGS = {
    "scope": "embed",
    "allowedIntents": "chat",
    "allowsAllIntents": "chat",
    "allowNoOrigin": "chat",
    "identity": "chat",
    "maxRedemptions": "iframe",
    "redemptionMode": "iframe",
}


class Bearer(requests.auth.AuthBase):
    """A token."""

    def __init__(self, token):
        self.token = token

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Signed(requests.auth.AuthBase):
    """Three headers that sign the very bytes of the body."""

    def __call__(self, request):
        timestamp, body = str(next(TIMESTAMPS)), request.body or b""
        body = body.encode() if isinstance(body, str) else body
        secret = DEMO["embed"]["secret"].encode()
        signature = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
        request.headers["X-YoLead-Key"] = DEMO["embed"]["key"]
        request.headers["X-YoLead-Timestamp"] = timestamp
        request.headers["X-YoLead-Signature"] = signature.hexdigest()
        return request


def call(method, path, body=None, **options):
    answer = requests.request(method, DEMO["base_url"] + path, json=body, timeout=30, **options)
    answer.raise_for_status()
    return answer.json()


def chat_token():
    body, origin = {"publicKey": DEMO["chat"]["public_key"]}, DEMO["chat"]["origin"]
    return call("POST", "/api/public/v1/chat/sessions", body, headers={"Origin": origin})["sessionToken"]


def embed_token():
    body = {"employeeId": DEMO["embed"]["employee_id"], "capabilities": ["showChatsList"]}
    return call("POST", "/v1/embed/sessions", body, auth=Signed())["data"]["embedToken"]


def cache_key():
    body = {"uid": "u", "srcs": DEMO["iframe"]["source_ids"]}
    key = Bearer(DEMO["iframe"]["api_key"])
    return call("POST", "/api/v1/iframe/create", body, auth=key)["cache_key"]


def tenant_id():
    """A new one: whichever is older may be revoked by now."""
    created = call("POST", "/api/admin/v1/tenants", {"name": "t"}, auth=AUTH["adminKey"])
    return created["tenant"]["tenantId"]


AUTH = {
    "adminKey": Bearer(DEMO["admin"]["token"]),
    "apiKey": Bearer(DEMO["iframe"]["api_key"]),
    "chatToken": Bearer(chat_token()),
    "embedToken": Bearer(embed_token()),
    "embedKey": Signed(),
}


@schemathesis.auth(refresh_interval=None)
class Credentials:
    """Proves the right caller by the operation's security scheme."""

    def get(self, case, context):
        for requirement in context.operation.definition.raw.get("security", []):
            for scheme in requirement:
                # A case that is about the three headers keeps those it has.
                if context.operation.definition.raw["operationId"] == "chatSessionEnd":
                    # It ends the session that it proves itself with.
                    return Bearer(chat_token())
                if scheme in AUTH and not (scheme == "embedKey" and is_negative(case, ParameterLocation.HEADER)):
                    return AUTH[scheme]
        return None

    def set(self, case, data, context):
        # As `schemathesis.auth.set_from_requests` does: only there are the bytes of the body known.
        case._auth = data


def is_negative(case, location):
    component = case.meta and case.meta.components.get(location)
    return bool(component and component.mode.is_negative)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Says `x-property-names` in words of JSON Schema, and forgets links into other documents."""
    operations = [
        operation
        for item in raw_schema["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict)
    ]
    here = {operation.get("operationId") for operation in operations}
    for operation in operations:
        for answer in operation.get("responses", {}).values():
            links = answer.get("links", {})
            for name in [name for name, link in links.items() if link["operationId"] not in here]:
                del links[name]
    for schema in raw_schema["components"]["schemas"].values():
        for part in [schema, *schema.get("properties", {}).values()]:
            names = part.get("x-property-names")
            if names:
                part["patternProperties"] = {names["pattern"]: part["additionalProperties"]}
                part["additionalProperties"] = False


@schemathesis.hook
def before_call(context, case, kwargs):
    """Valid requests name what exists and keep the rules between members."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict):
        # No string may hold U+0000, which OpenAPI cannot say of a whole API.
        case.body = json.loads(json.dumps(case.body).replace("\\u0000", "\\ufffd"))
    if case.headers and "Idempotency-Key" in case.headers:
        # One that was used for another request is refused, as documented.
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    if case.headers:
        # The demo keys are live: they move no clock.
        case.headers.pop("Vestibule-Test-Clock", None)
    adapt = ADAPT.get(case.operation.definition.raw["operationId"])
    if adapt:
        adapt(case, case.body if isinstance(case.body, dict) else {})


def chat_session(case, body):
    case.headers["Origin"] = DEMO["chat"]["origin"]
    body["publicKey"] = DEMO["chat"]["public_key"]
    body.pop("customerToken", None)
    limits = case.operation.schema.raw_schema["components"]["schemas"]["Variables"]
    if not fits(body.get("variables"), limits["x-max-bytes"], limits["x-max-depth"]):
        body["variables"] = {}


def fits(variables, max_bytes, max_depth):
    """The limits of `variables` as a whole, and of what one body may hold."""
    text = json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) <= max_bytes and depth(variables) <= max_depth


def depth(value):
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(depth, parts), default=0)


def chat_conversation(case, body):
    case.headers["Origin"] = DEMO["chat"]["origin"]


def embed_session(case, body):
    granted = body.get("capabilities", [])
    if "showChatPage" in granted and "showChatsList" not in granted:
        body.setdefault("chatId", DEMO["embed"]["chat_id"])


def iframe_session(case, body):
    body["srcs"] = DEMO["iframe"]["source_ids"]
    if "theme" in body:
        body.pop("theme_id", None)
    if "theme_id" in body:
        body["theme_id"] = DEMO["iframe"]["theme_ids"][0]


def iframe_token(case, body):
    case.headers["Origin"] = DEMO["base_url"]
    body["cache_key"] = cache_key()


def key(case, body):
    body["tenantId"] = tenant_id()
    for setting, kind in KEY_SETTINGS.items():
        if body["kind"] != kind:
            body.pop(setting, None)
    if body["kind"] == "chat":
        body["allowsAllIntents"] = "allowedIntents" not in body
    # How often and whether once say the same.
    if "maxRedemptions" in body:
        body.pop("redemptionMode", None)
    # The pattern admits hosts that are no names and ports that are none.
    origins = range(len(body.get("allowedOrigins", [])))
    body["allowedOrigins"] = [f"https://o{i}.example" for i in origins]


def key_update(case, body):
    """Which kind the key has is not known here: what every kind has may be changed."""
    for setting in KEY_SETTINGS:
        body.pop(setting, None)
    origins = range(len(body.get("allowedOrigins", [])))
    if origins:
        body["allowedOrigins"] = [f"https://o{i}.example" for i in origins]
    body.setdefault("label", "changed")


def person(case, body):
    """One person, or everything."""
    named = [name for name in ("uid", "customerId", "employeeId", "everything") if name in body]
    for name in named[1:]:
        del body[name]
    if named[:1] in ([], ["everything"]):
        body["everything"] = True
    # Where a page ends is told by the page before.
    body.pop("after", None)


def webhook(case, body):
    """The pattern admits addresses that nothing may be sent to."""
    if "url" in body:
        body["url"] = "https://hooks.example/vestibule"


def delivery_replay(case, body):
    """A delivery that there is."""
    at = f"/api/admin/v1/tenants/{tenant_id()}/webhooks"
    asked = {"url": "https://hooks.example/vestibule", "events": ["session.created"]}
    made = call("POST", at, asked, auth=AUTH["adminKey"])["webhook"]
    test = call("POST", f"{at}/{made['webhookId']}/test", auth=AUTH["adminKey"])["delivery"]
    names = {"tenantId": made["tenantId"], "webhookId": made["webhookId"]}
    case.path_parameters.update(names, deliveryId=test["deliveryId"])


def signature_debug(case, body):
    body["key"] = DEMO["embed"]["test_key"]


ADAPT = {
    "chatSessionCreate": chat_session,
    "chatConversationRead": chat_conversation,
    "chatSessionRefresh": chat_conversation,
    "chatSessionEnd": chat_conversation,
    "embedSessionCreate": embed_session,
    "iframeSessionCreate": iframe_session,
    "iframeTokenRedeem": iframe_token,
    "keyCreate": key,
    "keyUpdate": key_update,
    "tenantErase": person,
    "tenantExport": person,
    "webhookCreate": webhook,
    "webhookUpdate": webhook,
    "webhookDeliveryReplay": delivery_replay,
    "signatureDebug": signature_debug,
}
