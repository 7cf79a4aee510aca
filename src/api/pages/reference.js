// Starts Swagger UI on one of the served documents. In --dev it fills in the demo credentials and
// signs what must be signed, so that "Try it out" works at once. Names of headers and schemes come
// from the loaded document. No innerHTML anywhere: the page enforces Trusted Types.
"use strict";

(() => {
  const isDev = document.documentElement.dataset.mode === "dev";
  const byId = (id) => document.getElementById(id);
  const picker = byId("document");

  const NOTES = {
    dev: "Development mode: the demo credentials are filled in, and requests are signed here in the page. Operations that refuse browsers go through /dev/try of this server, which sends them on without the Origin header, as a backend would; every answer is the service's own.",
    reader: "“Try it out” calls this service. Operations for backends refuse every request of a browser, with or without valid credentials; call those from a shell.",
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();
  picker.addEventListener("change", () => {
    location.assign(`${location.pathname}?${new URLSearchParams({ document: picker.value })}`);
  });
  show(asked()).catch((problem) => say(`The reference cannot be shown: ${problem.message}`));

  function asked() {
    const name = new URLSearchParams(location.search).get("document");
    const known = Array.from(picker.options, (option) => option.value);
    return known.includes(name) ? name : picker.value;
  }

  async function show(name) {
    picker.value = name;
    const source = byId("source");
    source.href = `/openapi/${name}.json`;
    source.textContent = `${name}.json`;
    const spec = await json(await fetch(source.href));
    const demo = isDev ? await credentials() : null;
    say(demo ? NOTES.dev : NOTES.reader);
    localize(spec, demo);
    const skew = demo ? demo.now_ms - Date.now() : 0;
    const ui = SwaggerUIBundle({
      domNode: byId("reference"),
      spec,
      plugins: [textWithoutHtml],
      validatorUrl: null,
      deepLinking: true,
      tryItOutEnabled: demo !== null,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      requestInterceptor: (request) => (demo ? prepare(request, spec, demo, skew) : request),
      onComplete: () => {
        const known = demo ? Object.entries(demo.schemes) : [];
        for (const [scheme, value] of known) {
          if (spec.components.securitySchemes[scheme]) ui.preauthorizeApiKey(scheme, value);
        }
      },
    });
  }

  function say(text) {
    byId("note").textContent = text;
  }

  async function json(response) {
    if (!response.ok) throw new Error(`${response.url} answered ${response.status}`);
    return response.json();
  }

  // A development server gives them to browsers on its own machine alone.
  async function credentials() {
    const response = await fetch("/dev/credentials", { method: "POST" });
    return response.status === 403 ? null : json(response);
  }

  // The document names a deployment of its own; this page is of the one that serves it.
  function localize(spec, demo) {
    spec.servers = [{ url: location.origin, description: "The service that serves this page" }];
    for (const operation of operations(spec)) {
      // Several operations refer to one parameter; each gets its own copy to be changed.
      operation.node.parameters = operation.node.parameters?.map((parameter) => {
        const name = parameter.$ref?.split("/").pop();
        return name ? structuredClone(spec.components.parameters[name]) : parameter;
      });
      for (const parameter of operation.node.parameters ?? []) {
        // Swagger UI fills examples in, which would send invented values for what may be left out.
        if (!parameter.required) parameter.schema = withoutExample(spec, parameter.schema);
        // Browsers set it themselves and let no script change it.
        if (parameter.name === "Origin") parameter.example = location.origin;
      }
      Object.values(operation.node.responses).forEach((answer) => tellCodes(answer, spec));
      const body = demo?.bodies[operation.node.operationId];
      if (body) Object.values(operation.node.requestBody.content)[0].example = body;
    }
  }

  function withoutExample(spec, schema) {
    const name = schema.$ref?.split("/").pop();
    const { example, ...rest } = name ? spec.components.schemas[name] : schema;
    return rest;
  }

  // Swagger UI shows neither the codes of an answer nor an example with one of them.
  function tellCodes(answer, spec) {
    const codes = answer["x-codes"];
    if (!codes) return;
    answer.description += `\n\n${codes.map((code) => `\`${code}\``).join(", ")}`;
    const { request_id } = spec.components.schemas.Error.example;
    const example = { error: codes[0], message: "…", details: {}, request_id };
    for (const media of Object.values(answer.content)) media.example = example;
  }

  function operations(spec) {
    const paths = Object.entries(spec.paths);
    return paths.flatMap(([path, item]) =>
      Object.entries(item)
        .filter(([, node]) => node.operationId)
        .map(([method, node]) => ({ path, method, node })),
    );
  }

  async function prepare(request, spec, demo, skew) {
    const url = new URL(request.url, location.href);
    const operation = operations(spec).find(
      ({ path, method }) =>
        method === request.method.toLowerCase() && matches(path.split("/"), url.pathname.split("/")),
    );
    const names = Object.keys(operation?.node.security[0] ?? {});
    const schemes = spec.components.securitySchemes;
    if (names.includes(demo.signing.signature)) {
      const timestamp = String(Date.now() + skew);
      const signature = await hmac(demo.signing.secret, `${timestamp}.${request.body ?? ""}`);
      request.headers[schemes[demo.signing.timestamp].name] = timestamp;
      request.headers[schemes[demo.signing.signature].name] = signature;
    }
    const refusesBrowsers = names.some((name) => schemes[name]["x-browser"] === "refused");
    // Browsers send no Origin with a GET to their own origin.
    if (refusesBrowsers && request.method.toUpperCase() !== "GET") request.userFetch = relay;
    return request;
  }

  function matches(template, path) {
    const fits = (part, at) => part === path[at] || part.startsWith("{");
    return template.length === path.length && template.every(fits);
  }

  // The request as it is shown, but by way of the development server.
  function relay(url, request) {
    const { pathname, search } = new URL(url, location.href);
    return fetch(`/dev/try${pathname}${search}`, request);
  }

  async function hmac(secret, text) {
    if (!crypto.subtle) throw new Error("signing needs https, or an address of this machine");
    const bytes = (value) => new TextEncoder().encode(value);
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", bytes(secret), algorithm, false, ["sign"]);
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text)));
    return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // Descriptions as elements. Swagger UI's own component sets innerHTML, which Trusted Types refuse.
  function textWithoutHtml({ React }) {
    const element = React.createElement;
    const inline = (text) =>
      text.split(/`([^`]*)`/).map((part, at) => (at % 2 ? element("code", { key: at }, part) : part));
    const block = (text, at) => {
      const items = text.split(/^[-*] /m);
      if (items.length === 1) return element("p", { key: at }, inline(text));
      const [before, ...rest] = items;
      const list = rest.map((item, key) => element("li", { key }, inline(item)));
      return element("div", { key: at }, before && element("p", null, inline(before)), element("ul", null, list));
    };
    const Markdown = ({ source, className = "" }) =>
      source
        ? element("div", { className: `markdown ${className}` }, String(source).split(/\n\n+/).map(block))
        : null;
    return { wrapComponents: { Markdown: () => Markdown } };
  }
})();
