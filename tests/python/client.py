"""The clients that openapi-python-client makes from our documents, against a running server.

tests/it/python.rs makes them and names the demo credentials' file in VESTIBULE_CREDENTIALS.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
import unittest

import httpx
from vestibule_admin_surface_client import AuthenticatedClient as Operator
from vestibule_admin_surface_client.api.tenants import tenant_list
from vestibule_chat_surface_client import AuthenticatedClient as ChatHolder
from vestibule_chat_surface_client import Client as ChatPage
from vestibule_chat_surface_client.api.chat_conversations import chat_conversation_read
from vestibule_chat_surface_client.api.chat_sessions import chat_session_create
from vestibule_chat_surface_client.models import CreateChatSession
from vestibule_embed_surface_client import AuthenticatedClient as EmbedHolder
from vestibule_embed_surface_client import Client as EmbedBackend
from vestibule_embed_surface_client.api.embed_sessions import embed_session_create, embed_session_read
from vestibule_embed_surface_client.models import CreateEmbedSession
from vestibule_iframe_surface_client import AuthenticatedClient as IframeBackend
from vestibule_iframe_surface_client import Client as IframePage
from vestibule_iframe_surface_client.api.iframe_sessions import iframe_session_create
from vestibule_iframe_surface_client.api.iframe_tokens import iframe_token_redeem
from vestibule_iframe_surface_client.models import CreateIframeSession, RedeemCacheKey

with open(os.environ["VESTIBULE_CREDENTIALS"], encoding="utf-8") as file:
    DEMO = json.load(file)
SERVER = DEMO["base_url"]


class Signed(httpx.Auth):
    """Signs every request of the embed surface: HMAC-SHA256 over `<timestamp>.<raw body>`."""

    requires_request_body = True

    def __init__(self, key: str, secret: str) -> None:
        self.key, self.secret = key, secret
        document = httpx.get(f"{SERVER}/openapi/embed.json").json()
        self.schemes = document["components"]["securitySchemes"]

    def auth_flow(self, request):
        timestamp = str(int(time.time() * 1000))
        message = timestamp.encode() + b"." + request.content
        signature = hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest()
        values = {"embedKey": self.key, "embedTimestamp": timestamp, "embedSignature": signature}
        for scheme, value in values.items():
            request.headers[self.schemes[scheme]["name"]] = value
        yield request


class SignedV2(httpx.Auth):
    """Signs the whole of every request: version 2, with a nonce."""

    requires_request_body = True

    def __init__(self, key: str, secret: str) -> None:
        self.key, self.secret = key, secret
        document = httpx.get(f"{SERVER}/openapi/lifecycle.json").json()
        self.schemes = document["components"]["securitySchemes"]

    def auth_flow(self, request):
        timestamp, nonce = str(int(time.time() * 1000)), secrets.token_hex(16)
        target = request.url.raw_path.decode()
        digest = hashlib.sha256(request.content).hexdigest()
        lines = ["VESTIBULE2", request.method, target, timestamp, nonce, digest]
        mac = hmac.new(self.secret.encode(), "\n".join(lines).encode(), hashlib.sha256)
        values = {
            "embedKeyV2": self.key,
            "embedTimestampV2": timestamp,
            "embedNonce": nonce,
            "embedSignatureV2": f"v2={mac.hexdigest()}",
        }
        for scheme, value in values.items():
            request.headers[self.schemes[scheme]["name"]] = value
        yield request


class Sessions(unittest.TestCase):
    def test_a_wholly_signed_request_reads_a_session(self):
        auth = Signed(DEMO["embed"]["key"], DEMO["embed"]["secret"])
        backend = EmbedBackend(base_url=SERVER, httpx_args={"auth": auth})
        body = {"employeeId": DEMO["embed"]["employee_id"], "capabilities": ["showChatsList"]}
        opened = embed_session_create.sync(client=backend, body=CreateEmbedSession.from_dict(body))
        holder = EmbedHolder(base_url=SERVER, token=opened.data.embed_token)
        sid = embed_session_read.sync(client=holder).data.session_id
        with httpx.Client(auth=SignedV2(DEMO["embed"]["key"], DEMO["embed"]["secret"])) as backend:
            read = backend.get(f"{SERVER}/v1/sessions/{sid}")
        self.assertEqual((read.status_code, read.json()["sid"]), (200, sid), read.text)

    def test_a_signed_request_opens_an_embed_session(self):
        auth = Signed(DEMO["embed"]["key"], DEMO["embed"]["secret"])
        backend = EmbedBackend(base_url=SERVER, httpx_args={"auth": auth})
        employee = DEMO["embed"]["employee_id"]
        body = CreateEmbedSession.from_dict({"employeeId": employee, "capabilities": ["showChatsList"]})
        opened = embed_session_create.sync_detailed(client=backend, body=body)
        self.assertEqual(opened.status_code, 201, opened.content)
        holder = EmbedHolder(base_url=SERVER, token=opened.parsed.data.embed_token)
        read = embed_session_read.sync(client=holder)
        self.assertEqual(read.data.employee_id, employee)

    def test_an_origin_opens_a_chat_session(self):
        page = {"base_url": SERVER, "headers": {"Origin": DEMO["chat"]["origin"]}}
        variables = {"tags": ["vip", ["nested"]], "cart_total": 129}
        body = {"publicKey": DEMO["chat"]["public_key"], "variables": variables}
        body = CreateChatSession.from_dict(body)
        opened = chat_session_create.sync_detailed(client=ChatPage(**page), body=body)
        self.assertEqual(opened.status_code, 200, opened.content)
        holder = ChatHolder(token=opened.parsed.session_token, **page)
        read = chat_conversation_read.sync(client=holder)
        self.assertEqual(read.conversation_id, opened.parsed.conversation_id)
        self.assertEqual(read.variables.to_dict(), variables)

    def test_an_api_key_opens_an_iframe_session(self):
        backend = IframeBackend(base_url=SERVER, token=DEMO["iframe"]["api_key"])
        body = CreateIframeSession.from_dict({"uid": "python", "srcs": DEMO["iframe"]["source_ids"]})
        created = iframe_session_create.sync_detailed(client=backend, body=body)
        self.assertEqual(created.status_code, 200, created.content)
        body = RedeemCacheKey(cache_key=created.parsed.cache_key)
        redeemed = iframe_token_redeem.sync(client=IframePage(base_url=SERVER), body=body)
        self.assertEqual(redeemed.uid, "python")

    def test_an_admin_token_lists_tenants(self):
        operator = Operator(base_url=SERVER, token=DEMO["admin"]["token"])
        self.assertEqual(len(tenant_list.sync(client=operator, limit=1).items), 1)

    def test_a_refusal_is_typed_and_lists_every_violation(self):
        backend = IframeBackend(base_url=SERVER, token=DEMO["iframe"]["api_key"])
        body = CreateIframeSession.from_dict({"uid": "u", "srcs": [], "ttl": 59})
        refused = iframe_session_create.sync_detailed(client=backend, body=body)
        self.assertEqual((refused.status_code, refused.parsed.error), (400, "invalid_input"))
        found = {(it.in_.value, it.pointer, it.keyword) for it in refused.parsed.details.violations}
        self.assertEqual(found, {("body", "/srcs", "minItems"), ("body", "/ttl", "minimum")})


if __name__ == "__main__":
    unittest.main()
