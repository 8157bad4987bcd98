// Signing in, with the token of those who only look.
import assert from "node:assert/strict";
import { onPage, view, violations } from "./page.mjs";

await onPage(async (page, context) => {
  const token = page.getByLabel("Token");
  assert.deepEqual(await violations(page), []);
  await token.fill("a-wrong-token-5678");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText(/neither the token/).waitFor();
  await token.fill(process.env.HIVE_PAGE_TOKEN);
  // By the keyboard alone.
  await token.press("Enter");
  await page.getByRole("row", { name: /^letters/ }).waitFor();
  const [cookie] = await context.cookies();
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Strict");
  assert.equal(await page.evaluate(() => document.cookie), "");

  assert.equal(await page.getByRole("button", { name: /pause/ }).count(), 0);
  await view(page, "#/dead/letters", "Dead letters of letters");
  await page.getByText("1 message in letters.dead").waitFor();
  assert.equal(await page.getByRole("button", { name: /Republish|Purge/ }).count(), 0);
  await page.getByRole("button", { name: /^Messages of/ }).click();
  await page.getByRole("button", { name: "o-17" }).click();
  await page.getByRole("heading", { name: "Message o-17" }).waitFor();
  assert.equal(await page.getByRole("button", { name: /Republish|Edit/ }).count(), 0);
  await view(page, "#/components", "Components");
  await page.getByRole("region", { name: "ack" }).waitFor();
  assert.equal(await page.getByRole("button", { name: /New code/ }).count(), 0);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assert.deepEqual(await context.cookies(), []);
});
