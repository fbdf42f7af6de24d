// Drawing bytes: they stay in this page's memory, and in the file that the reader saves.

import { at, blockLink, make, named, NOT_FROM_SPACE, show, simulatedTag, tag, whole } from "./elements.js";
import { ask, askForKey, Refusal, session } from "./asking.js";
import { drewFrom } from "./pictures.js";

let drawn = null;

export async function draw(event) {
  event.preventDefault();
  const form = new FormData(at("draw-form"));
  const n = Number(form.get("n"));
  const path = `random/${n}?class=${form.get("class")}&format=${form.get("format")}`;
  const button = event.submitter ?? at("draw-form").querySelector("button");
  button.disabled = true;
  try {
    const answer = await ask(path, "*/*");
    showDrawn(n, path, form.get("format"), answer.headers, new Uint8Array(await answer.arrayBuffer()));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.wantsKey) askForKey(error);
    at("drawn").hidden = true;
    at("draw-status").className = "error";
    show("draw-status", `Nothing was drawn. ${error.wantsKey ? "The field above takes an API key." : error.message}`);
  } finally {
    button.disabled = false;
  }
}

const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");

function showDrawn(n, path, format, headers, body) {
  const kind = headers.get("X-Entropy-Class");
  const simulated = headers.get("X-Entropy-Simulated") === "true";
  drawn = { body, name: `${n}-bytes-${kind}.${{ raw: "bin", json: "json" }[format] ?? "txt"}` };
  at("bytes").textContent = format === "raw" ? hex(body) : new TextDecoder().decode(body);
  at("draw-status").className = "";
  show("draw-status", `${named(n, "byte")} drawn, class ${kind}${simulated ? ", simulated" : ""}.`);
  at("drawn-tags").replaceChildren(
    tag(kind, kind === "public" ? "warn" : "good"),
    tag(format),
    ...(simulated ? [simulatedTag()] : []),
  );
  show(
    "drawn-note",
    [
      simulated ? `A simulated camera is behind some of these bytes: ${NOT_FROM_SPACE}` : "",
      kind === "public"
        ? "Anyone can compute these bytes from the images: never use them as a key."
        : "Nobody else gets these bytes, but they crossed the network and this screen.",
    ]
      .join(" ")
      .trim(),
  );
  const option = session.key ? ' -H "X-API-Key: $KEY"' : "";
  show("curl", `curl${option} '${new URL(path, document.baseURI)}'`);
  showUsed(headers.get("X-Entropy-Blocks"));
  at("drawn").hidden = false;
}

function showUsed(header) {
  const parts = (header ?? "")
    .split(",")
    .map((part) => /^([0-9a-f-]{36}):(\d+)-(\d+)$/.exec(part))
    .filter(Boolean);
  drewFrom(parts.map(([, id]) => id));
  at("used").hidden = !parts.length;
  at("used-blocks").replaceChildren(
    ...parts.map(([, id, start, end]) =>
      make("li", {}, blockLink(id), ` bytes ${whole(start)} to ${whole(end - 1)}`),
    ),
  );
}

export function save() {
  const address = URL.createObjectURL(new Blob([drawn.body], { type: "application/octet-stream" }));
  make("a", { href: address, download: drawn.name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
