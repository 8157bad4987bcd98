// Each command of the page, given by clicks; the test looks at the broker after each.
import assert from "node:assert/strict";
import { checked, onPage, view } from "./page.mjs";

await onPage(async (page) => {
  const row = page.getByRole("row", { name: /^letters/ });
  await row.getByText("consuming").waitFor();
  await row.getByRole("button", { name: "pause letters" }).click();
  await row.getByText("paused").waitFor();
  await checked("paused");

  await row.getByRole("button", { name: "resume letters" }).click();
  await row.getByText("consuming").waitFor();
  await checked("resumed");

  await row.getByRole("link", { name: "letters", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "letters" }).waitFor();
  await page.getByRole("button", { name: "pause letters" }).click();
  await page.getByRole("button", { name: "resume letters" }).waitFor();
  await checked("paused again");

  // A group: two of three, counted before.
  await view(page, "#/dead/letters", "Dead letters of letters");
  await page.getByRole("button", { name: /^Republish order/ }).click();
  await page.getByText("2 messages of 4").waitFor();
  await page.getByRole("button", { name: "Republish 2 messages" }).click();
  await page.getByText("2 messages republished: 2 to letters").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("2 messages in letters.dead").waitFor();
  await checked("group republished");

  // A message whose texts would act on a page or a terminal.
  await page.getByRole("button", { name: /^Messages of <img/ }).click();
  await page.getByRole("button", { name: "<b>x-1</b>" }).click();
  await page.getByRole("heading", { name: "Message <b>x-1</b>" }).waitFor();
  const body = await page.getByLabel("Body").textContent();
  assert.equal(body, '<script>alert("body")</script>\u001b[2J');
  await page.getByText("<i onmouseover=alert(1)>header</i>").waitFor();
  assert.equal(await page.locator("main img, main script, main b, main i").count(), 0);

  // It is changed and sent, to another queue.
  await page.getByRole("button", { name: "Edit…" }).click();
  const editor = page.getByRole("dialog");
  await editor.getByLabel("Body").fill("tea");
  const front = editor.getByLabel("Properties and headers");
  await front.fill((await front.inputValue()).replace("<i onmouseover=alert(1)>header</i>", "plain"));
  await editor.getByLabel("To another queue").fill("aside");
  await editor.getByRole("button", { name: "Send" }).click();
  await page.getByText("Edited and sent to aside").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await page.getByText("1 message in letters.dead").waitFor();
  await checked("edited");

  // One message that is found by a condition.
  await page.getByLabel("Condition", { exact: true }).fill("message-id=nothing");
  await page.getByRole("button", { name: "Add the condition" }).click();
  await page.getByText("No message matches.").waitFor();
  await page.getByRole("button", { name: "Take off message-id=nothing" }).click();
  await page.getByRole("button", { name: /^Messages of boom/ }).click();
  await page.getByRole("button", { name: "t-1" }).click();
  await page.getByRole("heading", { name: "Message t-1" }).waitFor();
  await page.getByRole("button", { name: "Republish…", exact: true }).click();
  await page.getByRole("button", { name: "Republish 1 message" }).click();
  await page.getByText("1 message republished: 1 to letters").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("letters.dead is empty.").waitFor();
  await checked("message republished");

  // The test has put two more there.
  await page.getByRole("button", { name: "Look again" }).click();
  await page.getByText("2 messages in letters.dead").waitFor();
  await page.getByRole("button", { name: "Purge…" }).click();
  const purge = page.getByRole("button", { name: "Purge 2 messages" });
  await purge.waitFor();
  assert.equal(await purge.isDisabled(), true);
  await page.getByLabel("Type the name of the queue").fill("letters");
  assert.equal(await purge.isDisabled(), true);
  await page.getByLabel("Type the name of the queue").fill("letters.dead");
  await checked("one more, before it is purged");
  await purge.click();
  await page.getByText(/3 messages match now, and 2 were expected; nothing was changed/).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Look again" }).click();
  await page.getByText("3 messages in letters.dead").waitFor();
  await page.getByRole("button", { name: "Purge…" }).click();
  await page.getByLabel("Type the name of the queue").fill("letters.dead");
  await page.getByRole("button", { name: "Purge 3 messages" }).click();
  await page.getByText("3 messages deleted").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("letters.dead is empty.").waitFor();
  await checked("purged");

  // Code: sent, returned from, on trial, and the trial ended.
  await view(page, "#/components", "Components");
  const card = page.getByRole("region", { name: "fail" });
  await card.getByRole("button", { name: "New code for fail" }).click();
  await page.getByLabel(/A component/).setInputFiles(process.env.HIVE_PAGE_CODE);
  await page.getByRole("button", { name: "Swap", exact: true }).click();
  await card.getByText("Generation 2 serves now.").waitFor();
  await checked("swapped");
  await card.getByRole("button", { name: "Roll back to 1: fail" }).click();
  await card.getByText("Generation 3 serves now.").waitFor();
  await checked("rolled back");

  // A shadow: it is handed copies and dropped, and another one is promoted.
  const shadow = async (generation) => {
    await card.getByRole("button", { name: "New code for fail" }).click();
    await page.getByLabel(/A component/).setInputFiles(process.env.HIVE_PAGE_CODE);
    await page.getByLabel(/As a shadow first/).check();
    await page.getByLabel("Reported after deliveries").fill("20");
    await page.getByRole("button", { name: "Start the shadow" }).click();
    await card.getByText(`Generation ${generation} is a shadow`, { exact: true }).waitFor();
  };
  await shadow(4);
  await checked("a shadow");
  await card.getByText("compared: 0 the same, 1 different").waitFor();
  await card.getByText("shadow: 0 of 1 failed (0.0 %)", { exact: false }).waitFor();
  await card.getByText("current: 1 of 1 failed (100.0 %)", { exact: false }).waitFor();
  await card.getByText("The first 1 difference").click();
  await card.getByText("m-shadow", { exact: true }).waitFor();
  await card.getByText("ack", { exact: true }).waitFor();
  await checked("compared");
  await card.getByRole("button", { name: "Drop 4 of fail" }).click();
  await card.getByText("Generation 4 is dropped; 3 serves on.").waitFor();
  await card.getByText("The last shadow, generation 4: dropped.").waitFor();
  await checked("shadow dropped");
  await shadow(5);
  await card.getByRole("button", { name: "Promote 5 of fail" }).click();
  await card.getByText("Generation 5 is promoted, and serves now.").waitFor();
  await checked("shadow promoted");
  await card.getByRole("button", { name: "Roll back to 3: fail" }).click();
  await card.getByText("Generation 6 serves now.").waitFor();

  await card.getByRole("button", { name: "New code for fail" }).click();
  await page.getByLabel(/A component/).setInputFiles(process.env.HIVE_PAGE_CODE);
  await page.getByLabel(/On trial first/).check();
  await page.getByLabel("Percent").fill("50");
  await page.getByRole("button", { name: "Start the trial" }).click();
  await card.getByText("Generation 7 is on trial", { exact: true }).waitFor();
  await checked("on trial");
  await card.getByRole("button", { name: "Roll back 7 of fail" }).click();
  await card.getByText("Generation 7 is gone; 6 serves on.").waitFor();
  await card.getByText(/The last trial, of generation 7: rolled back by hand/).waitFor();
  await checked("trial ended");
  await card.getByRole("button", { name: "New code for fail" }).click();
  await page.getByLabel(/A component/).setInputFiles(process.env.HIVE_PAGE_CODE);
  await page.getByLabel(/On trial first/).check();
  await page.getByLabel("Percent").fill("50");
  await page.getByRole("button", { name: "Start the trial" }).click();
  await card.getByText("Generation 8 is on trial", { exact: true }).waitFor();
  await checked("on trial again");
  await card.getByRole("button", { name: "Promote 8 of fail" }).click();
  await card.getByText("Generation 8 is promoted, and serves now.").waitFor();
  await checked("promoted");

  // Code that is none is refused, and said so where it was asked for.
  await card.getByRole("button", { name: "New code for fail" }).click();
  await page.getByLabel(/A component/).setInputFiles({ name: "x.wasm", mimeType: "application/wasm", buffer: Buffer.from("no code") });
  await page.getByRole("button", { name: "Swap", exact: true }).click();
  await page.getByRole("dialog").getByRole("alert").getByText(/not WebAssembly/).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();

  // The bounds of a scale: set, refused, and as they are written again.
  await view(page, "#/consumers/other", "other");
  const figure = page.locator(".figure", { hasText: "Workers" });
  await figure.getByText("1 to 3", { exact: true }).waitFor();
  const change = async (min, max, button) => {
    await page.getByRole("button", { name: "Workers of other" }).click();
    await page.getByLabel("At least").fill(min);
    await page.getByLabel("At most").fill(max);
    await page.getByRole("button", { name: button }).click();
  };
  await change("2", "5", "Set the bounds");
  await figure.getByText("2 to 5 by hand").waitFor();
  await checked("bounds set");
  await change("9", "5", "Set the bounds");
  await page.getByRole("dialog").getByRole("alert").getByText(/9 against 5/).waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await change("2", "5", "As in hive.toml");
  await figure.getByText("1 to 3", { exact: true }).waitFor();
  await checked("bounds as written");

  await view(page, "#/audit", "Audit");
  for (const command of ["promote fail", "roll-back fail", "scale other", "pause letters", "purge letters", "edit letters", "republish letters", "swap fail", "back fail"]) {
    await page.getByRole("rowheader", { name: command }).first().waitFor();
  }
});
