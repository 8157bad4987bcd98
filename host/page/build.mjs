// Bundles the page: `node build.mjs` writes bundle/, `node build.mjs --check` compares it. scripts/page runs it in a folder
// with the packages of package-lock.json.
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const [folder, mode] = process.argv.slice(2);
const bundled = await build({
  entryPoints: [{ in: "src/main.tsx", out: "page" }],
  bundle: true,
  minify: true,
  write: false,
  outdir: "out",
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
});
// Their licences ask for it.
const notices = ["preact", "uplot"].map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}`);
const files = new Map([["index.html", readFileSync("src/index.html")]]);
for (const file of bundled.outputFiles) {
  const name = file.path.replace(/.*\//, "");
  const notice = name === "page.js" ? `/*!\n${notices.join("\n\n")}\n*/\n` : "";
  files.set(name, Buffer.concat([Buffer.from(notice), file.contents]));
}

// What is compressed differs with the version of zlib; what is in it does not.
const stored = (name) => (name === "index.html" ? name : `${name}.gz`);
let stale = false;
for (const [name, content] of files) {
  const path = `${folder}/${stored(name)}`;
  let there = null;
  try {
    there = readFileSync(path);
  } catch {
    // It is not there yet.
  }
  const is = there !== null && (name === "index.html" ? there : gunzipSync(there)).equals(content);
  if (is) continue;
  stale = true;
  if (mode !== "--check") writeFileSync(path, name === "index.html" ? content : gzipSync(content, { level: 9 }));
}
if (stale && mode === "--check") {
  console.error("host/page/bundle is not what its source builds to: run scripts/page, and commit the bundle");
  process.exit(1);
}
