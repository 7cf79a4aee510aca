// The three doors and the read as an ordinary team would write them with Fastify, Ajv and
// better-sqlite3: the same credentials checked, equivalent rows written, and the inserts of one turn
// of the event loop in one commit, with synchronous=FULL.
//
// `node server.mjs FILE`: as the axum service beside it. Its address is the one line on stdout.

import { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import Fastify from "fastify";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { embed, chat, iframe, token_secret: tokenSecret } = settings;

const WINDOW_MS = 5 * 60 * 1000;
const REMEMBER_MS = 6 * 60 * 1000;
const TTL_S = 900;
const CHAT_TTL_S = 3600;

const database = new Database(settings.database.replace("sqlite://", ""));
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(readFileSync(new URL("../tables.sql", import.meta.url), "utf8"));
const insertSession = database.prepare(
  "INSERT INTO sessions (id, surface, key, subject, issued_at, expires_at, cache_key, granted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
);
const insertAudit = database.prepare(
  "INSERT INTO audit (happened_at, actor, action, target, subject) VALUES (?, ?, 'session.open', ?, ?)",
);
const insertReplay = database.prepare(
  "INSERT INTO replays (mac, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
);
const insertConversation = database.prepare(
  "INSERT INTO conversations (id, customer, locale, variables, opened_at) VALUES (?, ?, ?, ?, ?)",
);
const upsertLimits = database.prepare(
  "INSERT INTO limits (uid, limits) VALUES (?, ?) ON CONFLICT (uid) DO UPDATE SET limits = excluded.limits",
);
const liveSession = database.prepare(
  "SELECT expires_at, granted FROM sessions WHERE id = ? AND expires_at > ? AND revoked_at IS NULL",
);

class Refusal extends Error {
  constructor(statusCode, message) {
    super(message);
    this.statusCode = statusCode;
  }
}

/** Openings of this turn, written together behind it. */
let waiting = [];

function write({ session, own }) {
  if (own && !own()) return false;
  const { id, surface, key, subject, issuedAt, expiresAt, cacheKey, granted } = session;
  insertSession.run(id, surface, key, subject, issuedAt, expiresAt, cacheKey, granted);
  insertAudit.run(issuedAt, key, id, subject);
  return true;
}

const writeAll = database.transaction((openings) => openings.map(write));

function flush() {
  const openings = waiting;
  waiting = [];
  try {
    const written = writeAll(openings);
    openings.forEach(({ resolve, reject }, at) =>
      written[at] ? resolve() : reject(new Refusal(409, "replayed")),
    );
  } catch (error) {
    openings.forEach(({ reject }) => reject(error));
  }
}

/** Writes a session; `own` writes what belongs to its door, and says whether it may be opened. */
function open(session, own) {
  return new Promise((resolve, reject) => {
    if (waiting.push({ session, own, resolve, reject }) === 1) setImmediate(flush);
  });
}

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const JOSE = base64({ alg: "HS256", typ: "JWT" });
const mac = (signed) => createHmac("sha256", tokenSecret).update(signed).digest();

function mint(claims) {
  const signed = `${JOSE}.${base64(claims)}`;
  return `${signed}.${mac(signed).toString("base64url")}`;
}

function verified(token, audience) {
  const [header, claims, signature] = token.split(".");
  const given = Buffer.from(signature ?? "", "base64url");
  const expected = mac(`${header}.${claims}`);
  if (header !== JOSE || given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new Refusal(401, "unauthorized");
  const read = JSON.parse(Buffer.from(claims, "base64url"));
  if (read.aud !== audience || read.exp <= Date.now() / 1000) throw new Refusal(401, "unauthorized");
  return read;
}

const newId = (prefix) => prefix + randomUUID().replaceAll("-", "");
const bearer = ({ headers }) => /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
const hash = (text) => createHash("sha256").update(text).digest();
const apiKeyHash = hash(iframe.api_key);

/** The MAC of a request that was signed with our key within the window. */
function signature({ headers, rawBody }) {
  const timestamp = headers["x-yolead-timestamp"] ?? "";
  const given = Buffer.from(headers["x-yolead-signature"] ?? "", "hex");
  const isInTime = Math.abs(Date.now() - Number(timestamp)) <= WINDOW_MS;
  const expected = createHmac("sha256", embed.secret).update(`${timestamp}.`).update(rawBody).digest();
  if (
    headers["x-yolead-key"] !== embed.key ||
    !isInTime ||
    given.length !== expected.length ||
    !timingSafeEqual(given, expected)
  )
    throw new Refusal(401, "unauthorized");
  return { mac: expected, expiresAt: Number(timestamp) + REMEMBER_MS };
}

const server = Fastify({ bodyLimit: 256 * 1024 });
server.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
  request.rawBody = body;
  try {
    done(null, JSON.parse(body));
  } catch (error) {
    done(new Refusal(400, error.message));
  }
});

const objectId = { type: "string", pattern: "^[0-9a-f]{24}$" };
const name = { type: "string", minLength: 1, maxLength: 256 };
const capabilities = {
  type: "array",
  minItems: 1,
  items: { enum: ["showChatsList", "showChatPage", "showSendInput", "showStatusButton"] },
};
const object = (required, properties) => ({
  type: "object",
  additionalProperties: false,
  required,
  properties,
});

const embedBody = object(["employeeId", "capabilities"], {
  employeeId: objectId,
  capabilities,
  chatId: objectId,
});
const chatBody = object(["publicKey"], {
  publicKey: name,
  customerId: name,
  locale: name,
  variables: { type: "object" },
});
const iframeBody = object(["uid", "srcs"], {
  uid: name,
  srcs: { type: "array", items: { type: "integer" } },
  ttl: { type: "integer", minimum: 60, maximum: 3600 },
  knowledge_base_entries: { type: "array", items: { type: "string", maxLength: 8192 } },
  reference_queries: {
    type: "array",
    items: object(["title", "query"], { title: name, query: { type: "string" } }),
  },
  model: name,
  theme: object([], { theme_mode: { enum: ["light", "dark"] }, start_message: { type: "string" } }),
  limits: { type: "object", additionalProperties: { type: "integer", minimum: 0 } },
});

const string = { type: "string" };
const integer = { type: "integer" };
const answers = (properties) => ({ "2xx": { type: "object", properties } });
const strings = { type: "array", items: string };
const embedAnswer = answers({
  data: {
    type: "object",
    properties: {
      iframeUrl: string,
      embedToken: string,
      expiresAt: integer,
      expiresIn: integer,
      capabilities: strings,
      allowedChatId: string,
    },
  },
});
const readAnswer = answers({
  data: {
    type: "object",
    properties: {
      sessionId: string,
      employeeId: string,
      capabilities: strings,
      allowedChatId: string,
      expiresAt: integer,
      expiresIn: integer,
    },
  },
});
const iframeAnswer = answers({ iframe_url: string, cache_key: string, expires_in: integer });

server.post(
  "/v1/embed/sessions",
  { schema: { body: embedBody, response: embedAnswer } },
  async (request, reply) => {
    const signed = signature(request);
    const { employeeId, capabilities, chatId } = request.body;
    const [now, id] = [Date.now(), newId("ses_")];
    const session = {
      id,
      surface: "embed",
      key: embed.key,
      subject: `employee:${employeeId}`,
      issuedAt: now,
      expiresAt: now + 1000 * TTL_S,
      cacheKey: null,
      granted: JSON.stringify({ capabilities, chat: chatId }),
    };
    await open(session, () => insertReplay.run(signed.mac, signed.expiresAt).changes === 1);
    const iat = Math.floor(now / 1000);
    const token = mint({ aud: "embed", sub: employeeId, sid: id, jti: newId("tok_"), iat, exp: iat + TTL_S });
    const data = {
      iframeUrl: `https://inbox.example/embed#token=${token}`,
      embedToken: token,
      expiresAt: session.expiresAt,
      expiresIn: TTL_S,
      capabilities,
      allowedChatId: chatId,
    };
    reply.code(201);
    return { data };
  },
);

server.post("/api/public/v1/chat/sessions", { schema: { body: chatBody } }, async (request) => {
  const { publicKey, customerId, locale, variables } = request.body;
  if (publicKey !== chat.public_key || request.headers.origin !== chat.origin)
    throw new Refusal(401, "unauthorized");
  const [now, id, conversation] = [Date.now(), newId("ses_"), randomUUID()];
  const session = {
    id,
    surface: "chat",
    key: publicKey,
    subject: customerId === undefined ? null : `customer:${customerId}`,
    issuedAt: now,
    expiresAt: now + 1000 * CHAT_TTL_S,
    cacheKey: null,
    granted: JSON.stringify({ conversation }),
  };
  const given = JSON.stringify(variables ?? {});
  await open(session, () =>
    insertConversation.run(conversation, customerId ?? null, locale ?? null, given, now),
  );
  const iat = Math.floor(now / 1000);
  return {
    sessionToken: mint({
      aud: "chat",
      sub: conversation,
      sid: id,
      jti: newId("tok_"),
      iat,
      exp: iat + CHAT_TTL_S,
    }),
    conversationId: conversation,
    expiresAt: session.expiresAt,
    expiresIn: CHAT_TTL_S,
    ...chat.welcome,
  };
});

server.post(
  "/api/v1/iframe/create",
  { schema: { body: iframeBody, response: iframeAnswer } },
  async (request) => {
    if (!timingSafeEqual(hash(bearer(request)), apiKeyHash)) throw new Refusal(401, "unauthorized");
    const { uid, srcs, ttl = TTL_S, limits, model, theme } = request.body;
    const { knowledge_base_entries: entries, reference_queries: queries } = request.body;
    if (!srcs.every((source) => iframe.sources.includes(source)))
      throw new Refusal(400, "srcs is not allowed");
    const [now, id, cacheKey] = [Date.now(), newId("ses_"), `ck_${randomBytes(32).toString("hex")}`];
    const session = {
      id,
      surface: "iframe",
      key: "iframe",
      subject: `uid:${uid}`,
      issuedAt: now,
      expiresAt: now + 1000 * ttl,
      cacheKey,
      granted: JSON.stringify({ sources: srcs, entries, queries, model, theme }),
    };
    await open(session, limits && (() => upsertLimits.run(uid, JSON.stringify(limits))));
    return {
      iframe_url: `https://assistant.example/${id}#${cacheKey}`,
      cache_key: cacheKey,
      expires_in: ttl,
    };
  },
);

server.get("/v1/embed/session", { schema: { response: readAnswer } }, async (request) => {
  const { sid, sub } = verified(bearer(request), "embed");
  const now = Date.now();
  const live = liveSession.get(sid, now);
  if (live === undefined) throw new Refusal(401, "unauthorized");
  const { capabilities, chat: allowedChatId } = JSON.parse(live.granted);
  const data = {
    sessionId: sid,
    employeeId: sub,
    capabilities,
    allowedChatId,
    expiresAt: live.expires_at,
    expiresIn: Math.floor((live.expires_at - now) / 1000),
  };
  return { data };
});

await server.listen({ host: "127.0.0.1", port: 0 });
console.log(`127.0.0.1:${server.server.address().port}`);
