// The one script of the plain session pages: takes the secret from the address, asks the service
// what it opens, and shows that, or says in words why not. The secret never leaves this closure
// except in the one request it is for. No innerHTML anywhere: the pages enforce Trusted Types.
"use strict";

(() => {
  // Before anything else: no history entry, screenshot or copied address may keep the secret.
  let secret = takeFragment();

  const kind = document.documentElement.dataset.page;
  const byId = (id) => document.getElementById(id);
  let ticking;

  const DOORS = {
    embed: {
      fragment: "token",
      noun: "inbox session",
      ask: (token) => fetch("/v1/embed/session", request({ headers: bearer(token) })),
      show: showEmbed,
      asksAgain: true,
    },
    chat: {
      fragment: "token",
      noun: "chat session",
      ask: (token) => fetch("/api/public/v1/chat/conversation", request({ headers: bearer(token) })),
      show: showChat,
      asksAgain: true,
    },
    iframe: {
      fragment: "key",
      noun: "assistant session",
      ask: (key) => fetch("/api/v1/iframe/token", request(json({ cache_key: key }))),
      show: showIframe,
      asksAgain: false, // each redemption counts
    },
  };

  const REASONS = {
    missing_fragment: "The address does not carry the session's secret. That is so after a reload, because the secret is removed from the address at once. Open the page again from where you came.",
    offline: "The service cannot be reached. Check the connection, then try again.",
    unreadable_answer: "Something between this page and the service answered in a form the page cannot read.",
    missing_credentials: "The service did not receive the session's secret. Open the page again from where you came.",
    invalid_session_token: "This link is not one the service has made, or it was cut or changed on the way. Ask for a new one.",
    token_expired: "The session's time is over. Open the page again from where you came to get a new one.",
    token_revoked: "The session was ended by its owner, or the key that opened it no longer works.",
    widget_disabled: "The chat is switched off for this site.",
    origin_not_allowed: "This page may not be opened from here: the site is not on the list of the key that opened the session.",
    cache_key_not_found: "The service does not know this link. It was cut or changed on the way, or is of another service.",
    cache_key_expired: "The session's time is over. Open the page again from where you came to get a new one.",
    cache_key_used: "This link has been opened as often as it may be. Ask for a new one.",
    invalid_input: "This link was cut or changed on the way: its secret does not have the right form.",
    rate_limited: "There were too many attempts from this network in a short time. Wait a little, then try again.",
    limit_exceeded: "The allowance for this period is used up.",
    unavailable: "The service cannot answer just now. It will do so again soon.",
    internal: "The service made a mistake. Its operator can find it by the request id below.",
  };
  const WORTH_A_RETRY = new Set(["offline", "rate_limited", "unavailable", "internal", "unreadable_answer"]);

  if (kind === "demo") {
    openAllDoors();
  } else {
    byId("retry").addEventListener("click", open);
    addEventListener("hashchange", () => {
      if (!location.hash) return;
      secret = takeFragment();
      open();
    });
    document.addEventListener("visibilitychange", () => {
      // A hidden page's timers stand still, and the session may have been revoked meanwhile.
      if (!document.hidden && ticking && DOORS[kind].asksAgain) open();
    });
    open();
  }

  function takeFragment() {
    const fragment = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
    return new URLSearchParams(fragment);
  }

  async function open() {
    const door = DOORS[kind];
    const value = secret.get(door.fragment);
    if (!value) return refuse({ code: "missing_fragment" });
    byId("retry").disabled = true;
    const asked = performance.now();
    const answer = await ask(() => door.ask(value));
    byId("retry").disabled = false;
    if (answer.code) return refuse(answer);
    const held = answer.body.data ?? answer.body;
    const seconds = held.expiresIn ?? held.expires_in;
    byId("problem").hidden = true;
    say(`The ${door.noun} is open.`, "good");
    document.title = `${document.querySelector(".surface").textContent}: open`;
    door.show(held);
    // Counted from the remaining time, not from a date: this device's clock may be wrong.
    countDown(asked + seconds * 1000);
  }

  /** The answer's JSON as `body`, or `{code, message, requestId, retryAfter}` of a refusal. */
  async function ask(send) {
    let response;
    try {
      response = await send();
    } catch {
      return { code: "offline" };
    }
    const body = await response.json().catch(() => null);
    if (response.ok && body) return { body };
    return {
      code: body?.error ?? body?.error_code ?? "unreadable_answer",
      message: body?.message,
      requestId: body?.request_id ?? response.headers.get("x-request-id"),
      retryAfter: response.headers.get("retry-after"),
      status: response.status,
    };
  }

  function request(extra) {
    return { cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(15000), ...extra };
  }

  function bearer(token) {
    return { Authorization: `Bearer ${token}` };
  }

  function json(body) {
    return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  }

  function showEmbed(held) {
    byId("title").textContent = "The inbox is ready";
    const capabilities = {
      showChatsList: "see the list of chats",
      showChatPage: "read a chat",
      showSendInput: "send messages",
      showStatusButton: "change a ticket's status",
      showAssigneeButton: "assign a ticket",
    };
    const named = (held.capabilities ?? []).map((name) => `${capabilities[name] ?? name} (${name})`);
    facts([
      ["Employee", held.employeeId],
      ["May", named],
      ["Chat", held.allowedChatId ? `only ${held.allowedChatId}` : "any of the employee's"],
      ["Session", held.sessionId],
    ]);
    const asked = location.pathname.split("/")[3];
    if (asked && held.allowedChatId && decodeURIComponent(asked) !== held.allowedChatId) {
      say("The inbox session is open, but for another chat than the one in this address.", "bad");
    }
  }

  function showChat(held) {
    byId("title").textContent = "The chat is ready";
    const variables = Object.entries(held.variables ?? {});
    facts([
      ["Customer", held.customerId ?? "anonymous"],
      ["May", "speak in this one conversation"],
      ["Conversation", held.conversationId],
      ["Language", held.locale ?? "not given"],
      ["Variables", variables.length ? variables.map(([key, value]) => `${key}: ${JSON.stringify(value)}`) : "none"],
    ]);
  }

  function showIframe(held) {
    byId("title").textContent = "The assistant is ready";
    const theme = held.theme ?? {};
    if (theme.theme_mode === "light" || theme.theme_mode === "dark") {
      document.documentElement.dataset.theme = theme.theme_mode;
    }
    byId("greeting").textContent = theme.start_message ?? "";
    byId("greeting").hidden = !theme.start_message;
    const limits = Object.entries(held.limits ?? {});
    const shown = [["the sidebar", theme.show_sidebar], ["dashboards", theme.show_dashboards]];
    facts([
      ["User", held.uid],
      ["May", `ask questions, with ${theme.response_mode ?? "full"} answers`],
      ["Shows", shown.filter(([, yes]) => yes !== false).map(([name]) => name)],
      ["Limits", limits.length ? limits.map(([span, count]) => `${count} messages ${span}`) : "none"],
      ["Session", held.session_id],
    ]);
  }

  function refuse({ code, message, requestId, retryAfter, status }) {
    stopCounting();
    byId("facts").hidden = true;
    byId("greeting").hidden = true;
    byId("title").textContent = code === "token_expired" || code === "cache_key_expired" ? "The session has ended" : "This page cannot be opened";
    document.title = `${document.querySelector(".surface").textContent}: not open`;
    byId("reason").textContent = REASONS[code] ?? message ?? "The service refused the session.";
    fill(byId("trace"), [
      ["Code", code],
      ["Service says", REASONS[code] ? message : undefined],
      ["HTTP status", status],
      ["Request id", requestId ?? "none: the service did not answer"],
      ["Try again in", retryAfter ? `${retryAfter} s` : undefined],
    ]);
    byId("retry").hidden = !WORTH_A_RETRY.has(code);
    byId("problem").hidden = false;
    say("The session is not open. The reason is given below.", "bad");
  }

  function say(text, mood) {
    byId("status").textContent = text;
    byId("status").dataset.kind = mood;
  }

  function facts(rows) {
    fill(byId("facts"), rows);
    byId("facts").hidden = false;
  }

  function fill(list, rows) {
    const nodes = rows.filter(([, value]) => value !== undefined && value !== null).flatMap(([name, value]) => {
      const term = document.createElement("dt");
      term.textContent = name;
      const detail = document.createElement("dd");
      if (Array.isArray(value)) detail.append(bullets(value));
      else detail.textContent = String(value);
      return [term, detail];
    });
    list.replaceChildren(...nodes);
  }

  function bullets(values) {
    const list = document.createElement("ul");
    for (const value of values.length ? values : ["nothing"]) {
      const item = document.createElement("li");
      item.textContent = value;
      list.append(item);
    }
    return list;
  }

  function countDown(deadline) {
    stopCounting();
    const tick = () => {
      const left = Math.ceil((deadline - performance.now()) / 1000);
      if (!(left > 0)) return refuse({ code: "token_expired", requestId: "none: the time ran out on this page" });
      byId("countdown").textContent = `Ends in ${duration(left)}`;
      if (left === 60) say("The session ends in one minute.", "bad");
    };
    ticking = setInterval(tick, 1000);
    byId("countdown").hidden = false;
    tick();
  }

  function stopCounting() {
    clearInterval(ticking);
    ticking = undefined;
    byId("countdown").hidden = true;
  }

  function duration(seconds) {
    const parts = [[Math.floor(seconds / 3600), "h"], [Math.floor(seconds / 60) % 60, "min"], [seconds % 60, "s"]];
    const first = parts.findIndex(([count]) => count > 0);
    return parts.slice(first < 0 ? 2 : first).map(([count, unit]) => `${count} ${unit}`).join(" ");
  }

  async function openAllDoors() {
    const doors = [...document.querySelectorAll(".door")];
    for (const door of doors) {
      door.querySelector("button").addEventListener("click", () => openDoor(door));
    }
    const opened = await Promise.all(doors.map(openDoor));
    const count = opened.filter(Boolean).length;
    say(`${count} of ${doors.length} sessions are open.`, count === doors.length ? "good" : "bad");
  }

  async function openDoor(door) {
    const [button, note, frame] = ["button", ".note", "iframe"].map((part) => door.querySelector(part));
    button.disabled = true;
    const answer = await ask(() => fetch("/dev/sessions", request(json({ surface: door.dataset.surface }))));
    button.disabled = false;
    const home = answer.code ? location.origin : new URL(answer.body.url).origin;
    const problem = answer.code
      ? `${answer.message ?? REASONS[answer.code] ?? "The service refused."} (${answer.code}, request ${answer.requestId ?? "unanswered"})`
      : home === location.origin ? "" : `The service calls itself ${home}: open ${home}/demo instead.`;
    note.textContent = problem;
    note.hidden = !problem;
    // A new element each time: a change of the fragment alone would not load the page anew.
    const fresh = frame.cloneNode();
    fresh.hidden = Boolean(problem);
    if (!problem) fresh.src = answer.body.url;
    frame.replaceWith(fresh);
    return !problem;
  }
})();
