// Opens the reference in a browser, tries operations out, and prints what was seen as JSON.
// Called with: the folder of the npm packages, the browser, the service's address, then an admin
// token to type in where the page has no demo credentials, or nothing, then a folder for pictures,
// or nothing. What is right is for the caller to say.
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, browserPath, address, token, pictures] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "/"))("playwright-core");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const seen = { violations: [], foreign: [], console: [], texts: {}, answers: {}, problem: null };
const browser = await chromium.launch({ executablePath: browserPath, args: FLAGS });
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await context.exposeFunction("reportViolation", (violation) => seen.violations.push(violation));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== address) seen.foreign.push(request.url());
  });
  // Patience on a busy machine, not a claim.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.console.push(message.text());
  });
  page.on("pageerror", (error) => seen.console.push(String(error)));

  for (const name of ["admin", "chat", "embed", "iframe", "lifecycle"]) {
    await open(page, name);
    seen.texts[name] = await page.locator("#reference").innerText();
    await picture(page, name);
  }
  if (!token) {
    await tryOut(page, "embed", "embedSessionCreate");
    await tryOut(page, "chat", "chatSessionCreate");
    await tryOut(page, "iframe", "iframeSessionCreate");
  }
  await tryOut(page, "admin", "tenantList");
} catch (problem) {
  seen.problem = String(problem);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));

async function open(page, name) {
  await page.goto(`${address}/docs/api?document=${name}`);
  await page.locator(".opblock").first().waitFor();
}

// The status, the shown command and the body of the answer.
async function tryOut(page, name, id) {
  await open(page, name);
  const block = page.locator(`.opblock[id$="-${id}"]`);
  if (token) await typeToken(page);
  await block.locator(".opblock-summary").click();
  if (token) await block.locator("button.try-out__btn").click();
  await block.locator("button.execute").click();
  const live = block.locator(".live-responses-table");
  await live.waitFor();
  const codes = block.locator(".responses-table").last();
  seen.answers[id] = {
    documented: await codes.innerText(),
    status: (await live.locator(".response-col_status").last().innerText()).trim().split(/\s/)[0],
    body: await live.locator(".response-col_description .highlight-code").first().innerText(),
    curl: await block.locator(".curl").first().innerText(),
  };
  await picture(page, id);
}

async function typeToken(page) {
  await page.locator(".auth-wrapper button.authorize").first().click();
  await page.locator(".auth-container input").first().fill(token);
  await page.locator(".auth-btn-wrapper button.authorize").first().click();
  await page.locator(".auth-btn-wrapper button.btn-done").first().click();
}

async function picture(page, name) {
  if (!pictures) return;
  for (const [width, scheme] of [[360, "light"], [1280, "light"], [360, "dark"], [1280, "dark"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: join(pictures, `${name}-${width}-${scheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: "light" });
}
