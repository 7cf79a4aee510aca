// The generated TypeScript client against a running server. `tests/it/typescript.rs` compiles this
// with the package and names the demo credentials' file.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
    adminClient,
    bearer,
    chatClient,
    type embed,
    embedClient,
    headers,
    iframeClient,
    lifecycleClient,
    signed,
} from "../../generated/typescript/src/index.js";

interface Demo {
    base_url: string;
    embed: { key: string; secret: string; employee_id: string };
    chat: { public_key: string; origin: string };
    iframe: { api_key: string; source_ids: number[] };
    admin: { token: string };
}

const file = process.argv[2] ?? assert.fail("the demo credentials' file is the argument");
const demo: Demo = JSON.parse(readFileSync(file, "utf8"));
const server = { baseUrl: demo.base_url };
// Node 18 has no global one.
const crypto = webcrypto as unknown as Crypto;
const inbox: embed.CreateEmbedSession = {
    employeeId: demo.embed.employee_id,
    capabilities: ["showChatsList"],
};

test("a signed request opens an embed session and its token reads it", async () => {
    const backend = embedClient(server, signed(demo.embed.key, demo.embed.secret, { crypto }));
    const opened = await backend.POST("/v1/embed/sessions", { body: inbox });
    assert.ok(opened.data, JSON.stringify(opened.error));
    const { embedToken, iframeUrl } = opened.data.data;
    assert.equal(new URL(iframeUrl).hash, `#token=${embedToken}`);
    const page = embedClient(server, bearer(embedToken));
    const read = await page.GET("/v1/embed/session");
    assert.ok(read.data, JSON.stringify(read.error));
    assert.deepEqual(read.data.data.capabilities, inbox.capabilities);
    // Another operation, so another signature, by the same key.
    const params = { path: { sid: read.data.data.sessionId } };
    const proof = signed(demo.embed.key, demo.embed.secret, { crypto });
    for (const credential of [proof, bearer(demo.iframe.api_key), bearer(demo.admin.token)]) {
        const seen = await lifecycleClient(server, credential).GET("/v1/sessions/{sid}", { params });
        assert.equal(seen.data?.sid, params.path.sid, JSON.stringify(seen.error));
    }
});

test("every attempt is signed afresh, over the body's bytes", async () => {
    let now = 1_700_000_000_000;
    const sent: string[] = [];
    const secret = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const client = embedClient(
        {
            baseUrl: "http://127.0.0.1:9",
            fetch: async (request) => {
                sent.push(request.headers.get(headers.embedSignature) ?? "");
                return Response.json({}, { status: 201 });
            },
        },
        signed("yk_one", secret, { crypto, now: () => now++ }),
    );
    const body = {
        employeeId: "64f000000000000000000001",
        capabilities: ["showChatsList" as const],
    };
    await client.POST("/v1/embed/sessions", { body });
    await client.POST("/v1/embed/sessions", { body });
    // The vector of the README.
    const golden = "aa2914c3cfebed63ca99b10d6be6744c30b4b2b37a5e71aef97e0dcd39b7fbe7";
    assert.equal(sent[0], golden);
    assert.notEqual(sent[1], golden);
});

test("a page's origin opens a chat session and its token reads the conversation", async () => {
    const page = { ...server, headers: { Origin: demo.chat.origin } };
    const body = { publicKey: demo.chat.public_key, variables: { tags: ["vip"] } };
    const opened = await chatClient(page).POST("/api/public/v1/chat/sessions", { body });
    assert.ok(opened.data, JSON.stringify(opened.error));
    const holder = chatClient(page, bearer(opened.data.sessionToken));
    const read = await holder.GET("/api/public/v1/chat/conversation");
    assert.ok(read.data, JSON.stringify(read.error));
    assert.equal(read.data.conversationId, opened.data.conversationId);
    assert.deepEqual(read.data.variables, body.variables);
});

test("an API key opens an iframe session and its cache key is redeemed", async () => {
    const backend = iframeClient(server, bearer(demo.iframe.api_key));
    const body = { uid: "typescript", srcs: demo.iframe.source_ids };
    const created = await backend.POST("/api/v1/iframe/create", { body });
    assert.ok(created.data, JSON.stringify(created.error));
    const { cache_key } = created.data;
    const redeemed = await iframeClient(server).POST("/api/v1/iframe/token", { body: { cache_key } });
    assert.ok(redeemed.data, JSON.stringify(redeemed.error));
    assert.equal(redeemed.data.uid, body.uid);
});

test("an admin token lists tenants", async () => {
    const operator = adminClient(server, bearer(demo.admin.token));
    const listed = await operator.GET("/api/admin/v1/tenants", { params: { query: { limit: 1 } } });
    assert.ok(listed.data, JSON.stringify(listed.error));
    assert.equal(listed.data.items.length, 1);
});

test("a refusal is typed and lists every violation", async () => {
    const backend = iframeClient(server, bearer(demo.iframe.api_key));
    const body = { uid: "u", srcs: [], ttl: 59 };
    const { error, response } = await backend.POST("/api/v1/iframe/create", { body });
    assert.equal(response.status, 400);
    assert.equal(error?.error, "invalid_input");
    const found = error.details.violations?.map((it) => [it.in, it.pointer, it.keyword, it.limit]);
    assert.deepEqual(found?.sort(), [
        ["body", "/srcs", "minItems", 1],
        ["body", "/ttl", "minimum", 60],
    ]);
});

test("what the documents do not allow does not compile", () => {
    const wrong = async () => {
        const client = embedClient(server);
        // @ts-expect-error: no such path
        await client.POST("/v1/embed/session", { body: inbox });
        // @ts-expect-error: no such capability
        await client.POST("/v1/embed/sessions", { body: { ...inbox, capabilities: ["fly"] } });
        // @ts-expect-error: a required member is missing
        await client.POST("/v1/embed/sessions", { body: { capabilities: ["showChatsList"] } });
    };
    assert.equal(typeof wrong, "function");
});
