// Credentials of the generated clients, as middleware that adds them to every request.
//
// Written by hand and kept by the generator. The embed surface's signature covers the raw body and
// the time, so each attempt, a retry too, is signed afresh.

import type { Middleware } from "openapi-fetch";
import { headers } from "./headers.js";

/** What signing takes from its surroundings. */
export interface Surroundings {
    /** Web Crypto. Node 18 has no global one: pass `webcrypto` of `node:crypto`. */
    crypto?: Pick<Crypto, "subtle">;
    /** Milliseconds since 1970. */
    now?: () => number;
}

/**
 * Signs every request with an embed key: its public id `yk_…` and its secret `ysk_…`.
 *
 * For backends only: whoever has the secret can open sessions, so it never goes into a page.
 */
export function signed(key: string, secret: string, surroundings: Surroundings = {}): Middleware {
    const { crypto = globalThis.crypto, now = Date.now } = surroundings;
    const utf8 = new TextEncoder();
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const hmacKey = crypto.subtle.importKey("raw", utf8.encode(secret), algorithm, false, ["sign"]);
    return {
        async onRequest({ request }) {
            const timestamp = String(now());
            const body = new Uint8Array(await request.clone().arrayBuffer());
            const start = utf8.encode(`${timestamp}.`);
            const message = new Uint8Array(start.length + body.length);
            message.set(start);
            message.set(body, start.length);
            const mac = await crypto.subtle.sign(algorithm, await hmacKey, message);
            request.headers.set(headers.embedKey, key);
            request.headers.set(headers.embedTimestamp, timestamp);
            request.headers.set(headers.embedSignature, hex(mac));
            return request;
        },
    };
}

/** Sends `Authorization: Bearer …`: an API key, an admin token or a session's token. */
export function bearer(token: string): Middleware {
    return {
        onRequest({ request }) {
            request.headers.set("Authorization", `Bearer ${token}`);
            return request;
        },
    };
}

function hex(bytes: ArrayBuffer): string {
    return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
