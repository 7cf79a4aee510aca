// Credentials of the generated clients, as middleware that adds them to every request.
//
// Written by hand and kept by the generator. A signature covers the time and the raw body, and on all
// but the embed surface's opening call method, path and a nonce too, so each attempt, a retry too, is
// signed afresh.

import type { Middleware } from "openapi-fetch";
import { headers, signedByBody } from "./headers.js";

/** What signing takes from its surroundings. */
export interface Surroundings {
    /** Web Crypto. Node 18 has no global one: pass `webcrypto` of `node:crypto`. */
    crypto?: Pick<Crypto, "getRandomValues" | "subtle">;
    /** Milliseconds since 1970. */
    now?: () => number;
    /** Visible ASCII that is never given twice; 128 random bits when not given. */
    nonce?: () => string;
}

/**
 * Signs every request with an embed key: its public id `yk_…` and its secret `ysk_…`, in the version
 * that the operation asks for.
 *
 * For backends only: whoever has the secret can open sessions, so it never goes into a page.
 */
export function signed(key: string, secret: string, surroundings: Surroundings = {}): Middleware {
    const { crypto = globalThis.crypto, now = Date.now } = surroundings;
    const { nonce = () => hex(crypto.getRandomValues(new Uint8Array(16)).buffer) } = surroundings;
    const utf8 = new TextEncoder();
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const hmacKey = crypto.subtle.importKey("raw", utf8.encode(secret), algorithm, false, ["sign"]);
    const mac = async (message: Uint8Array<ArrayBuffer>) =>
        hex(await crypto.subtle.sign(algorithm, await hmacKey, message));
    return {
        async onRequest({ request, schemaPath }) {
            const timestamp = String(now());
            const body = new Uint8Array(await request.clone().arrayBuffer());
            if (signedByBody.includes(`${request.method} ${schemaPath}`)) {
                const start = utf8.encode(`${timestamp}.`);
                const message = new Uint8Array(start.length + body.length);
                message.set(start);
                message.set(body, start.length);
                request.headers.set(headers.embedKey, key);
                request.headers.set(headers.embedTimestamp, timestamp);
                request.headers.set(headers.embedSignature, await mac(message));
                return request;
            }
            const { pathname, search } = new URL(request.url);
            const digest = hex(await crypto.subtle.digest("SHA-256", body));
            const once = nonce();
            const line = [request.method, `${pathname}${search}`, timestamp, once, digest];
            request.headers.set(headers.embedKeyV2, key);
            request.headers.set(headers.embedTimestampV2, timestamp);
            request.headers.set(headers.embedNonce, once);
            const signature = await mac(utf8.encode(["VESTIBULE2", ...line].join("\n")));
            request.headers.set(headers.embedSignatureV2, `v2=${signature}`);
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
