// Opens pages in a narrow browser window and prints, as JSON, how wide each page is laid out.
// Called with: the folder of the npm packages, the browser, the window's width in CSS pixels, then
// the pages' files. What is right is for the caller to say.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, browserPath, width, ...files] = process.argv.slice(2);
const { chromium } = createRequire(join(modules, "/"))("playwright-core");

const args = ["--no-sandbox", "--disable-gpu", "--no-first-run"];
const browser = await chromium.launch({ executablePath: browserPath, args });
const widths = [];
try {
  const context = await browser.newContext({ viewport: { width: Number(width), height: 800 } });
  // Patience on a busy machine, not a claim.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  for (const file of files) {
    await page.goto(pathToFileURL(file).href);
    widths.push(await page.evaluate(() => document.documentElement.scrollWidth));
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(widths));
