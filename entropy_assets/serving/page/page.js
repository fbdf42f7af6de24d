// The page of the service. Whatever comes over the network becomes text nodes and checked attributes, never HTML; the
// key and the bytes drawn stay in this page's memory.
"use strict";

const POLL_MS = 2000;
const BATCHES_MS = 10000;
const KEPT = 150; // points of a line: five minutes
const SVG = "http://www.w3.org/2000/svg";
const BLOCK_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

const memory = { key: "", locked: new Set(), depths: [], rates: [], served: null, low: 0, batches: "", drawn: null };
const at = (id) => document.getElementById(id);

// ------------------------------------------------------------------------------------------------ what is shown

/** Text that cannot hide or turn around what stands beside it. */
const plain = (value) => String(value ?? "").replace(UNSEEN, "\ufffd");

/** An element with properties and children; strings become text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : plain(child))));
  return element;
}

const show = (id, text) => { if (at(id).textContent !== text) at(id).textContent = text; };
const tag = (text, kind = "") => make("span", { class: `tag ${kind}` }, text);
const words = (code) => plain(code).replaceAll("_", " ");
const whole = (number) => Number(number ?? 0).toLocaleString("en");
const simulatedTag = () => tag("simulated", "note");
const named = (value, name) => `${whole(value)} ${name}${value === 1 ? "" : "s"}`;

function bytes(count) {
  if (!Number.isFinite(count)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (count >= 1024 && place < units.length - 1) { count /= 1024; place += 1; }
  return `${count.toLocaleString("en", { maximumFractionDigits: place && count < 100 ? 1 : 0 })} ${units[place]}`;
}

function lasting(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const steps = [[86400, "d"], [3600, "h"], [60, "min"]];
  const [length, unit] = steps.find(([step]) => seconds >= 2 * step) ?? [1, "s"];
  return `${Math.round(seconds / length)} ${unit}`;
}

function moment(text) {
  const when = new Date(text);
  if (Number.isNaN(when.getTime())) return plain(text);
  const shown = `${when.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return make("time", { datetime: when.toISOString() }, shown);
}

const blockLink = (id, text) => (BLOCK_ID.test(id) ? make("a", { href: `#block=${id}`, class: "mono" }, text ?? id) : plain(id));

/** Draw a line from 0 to the largest value; null is a gap. */
function drawLine(svg, values, mark) {
  const top = Math.max(...values.filter((value) => value !== null), mark ?? 0, 1) * 1.1;
  const x = (index) => 300 - ((values.length - 1 - index) * 300) / (KEPT - 1);
  const y = (value) => 59 - (value / top) * 57;
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index === 0 || values[index - 1] === null) runs.push([]);
    runs.at(-1).push([x(index).toFixed(1), y(value).toFixed(1)]);
  });
  svg.replaceChildren();
  for (const run of runs) {
    const line = `M${run.map((point) => point.join(" ")).join("L")}`;
    addPath(svg, "area", `${line}L${run.at(-1)[0]} 60L${run[0][0]} 60Z`);
    addPath(svg, "stroke", run.length === 1 ? `${line}h.1` : line);
  }
  if (mark) addPath(svg, "mark", `M0 ${y(mark).toFixed(1)}H300`);
}

function addPath(svg, kind, d) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("class", kind);
  path.setAttribute("d", d);
  svg.append(path);
}

// -------------------------------------------------------------------------------------------- what is asked

/** An answer that is no success: its status, a sentence for people, and how long to wait. */
class Refusal extends Error {
  constructor(status, detail, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  get wantsKey() { return this.status === 401 || this.status === 403; }
}

async function ask(path, accept = "application/json", alsoFine = 0) {
  const headers = { Accept: accept };
  if (memory.key) headers["X-API-Key"] = memory.key;
  let answer;
  try {
    // a redirect could carry the key to another host
    answer = await fetch(path, { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(10000) });
  } catch (error) {
    throw new Refusal(0, error.name === "TimeoutError" ? "The service did not answer in 10 s." : "The service does not answer.");
  }
  if (!answer.ok && answer.status !== alsoFine) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  let told = {};
  try { told = await answer.json(); } catch { /* a proxy's page, not a problem document of ours */ }
  const detail = [told.title ?? `The service answered ${answer.status}`, told.detail].filter(Boolean).map(plain).join(": ");
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  return new Refusal(answer.status, wait ? `${detail}. Try again in ${wait} s.` : detail, wait);
}

const askJson = async (path, alsoFine) => (await ask(path, "application/json", alsoFine)).json();

/** Open the field for a key, and ask for `what` again only when one is given. */
function askForKey(error, what = "") {
  if (what) memory.locked.add(what);
  at("key").open = true;
  show("key-note", memory.key ? `The key was not accepted: ${error.message}` : "This service asks for an API key.");
}

// -------------------------------------------------------------------------------------------- state and live

const STATES = {
  ok: ["Serving.", "Bytes can be had."],
  degraded: ["Degraded.", "Bytes can be had, but:"],
  failing: ["Failing: no bytes can be had.", "The reasons:"],
  silent: ["The service does not answer.", "This page keeps asking."],
};

function showState(state, reasons) {
  at("state").dataset.state = state;
  const [word, text] = STATES[state] ?? ["The service is in a state that this page does not know.", plain(state)];
  show("state-word", word);
  show("state-text", text);
  const lines = reasons.map(({ code, detail }) => `${code}: ${detail}`);
  if (at("reasons").dataset.shown === lines.join("\n")) return;
  at("reasons").dataset.shown = lines.join("\n");
  at("reasons").replaceChildren(
    ...reasons.map(({ code, detail }) => make("li", {}, make("strong", {}, words(code).replaceAll("-", " ")), `: ${plain(detail)}`)),
  );
}

async function pollOnce() {
  const [health, stats] = await Promise.allSettled([askJson("health", 503), memory.locked.has("stats") ? null : askJson("stats")]);
  const refused = stats.reason;
  if (refused?.wantsKey) askForKey(refused, "stats");
  if (health.value?.status) showState(health.value.status, health.value.reasons ?? []);
  else if (health.reason?.wantsKey) askForKey(health.reason);
  else showState("silent", [{ code: "health", detail: health.reason?.message ?? "no answer that this page knows" }]);
  showLive(health.value ?? null, stats.value ?? null);
  at("live-note").hidden = !(memory.locked.has("stats") || refused);
  show("live-note", memory.locked.has("stats") ? "The counts are for holders of an API key." : refused?.message ?? "");
  return Math.max(refused?.retryAfter ?? 0, health.reason?.retryAfter ?? 0) * 1000;
}

function showLive(health, stats) {
  const depth = stats?.pool?.bytes ?? (health?.pool?.reachable ? health.pool.ready_bytes : null);
  memory.low = health?.pool?.low_water_bytes ?? memory.low;
  keep(memory.depths, depth);
  keep(memory.rates, rateNow(stats));
  const rate = memory.rates.at(-1);
  show("depth", depth === null ? "–" : bytes(depth));
  show("rate", rate === null ? "–" : `${bytes(rate)}/s`);
  drawLine(at("depth-line"), memory.depths, memory.low);
  drawLine(at("rate-line"), memory.rates, null);
  show("depth-scale", `Dashed: low water, ${bytes(memory.low)}`);
  show("rate-scale", `Most: ${bytes(Math.max(0, ...memory.rates))}/s`);
  showFacts(health, stats);
}

function keep(values, value) {
  values.push(value);
  if (values.length > KEPT) values.shift();
}

/** Bytes per second since the last answer; null without one, or when a restart set the count back. */
function rateNow(stats) {
  const counts = stats?.service?.served_bytes;
  const before = memory.served;
  const now = performance.now();
  memory.served = counts ? { total: (counts.public ?? 0) + (counts.private ?? 0), when: now } : null;
  if (!before || !memory.served || memory.served.total < before.total) return null;
  return ((memory.served.total - before.total) * 1000) / (now - before.when);
}

function showFacts(health, stats) {
  const pool = health?.pool ?? {};
  const fresh = health?.freshness ?? {};
  const served = memory.served?.total;
  const facts = [
    ["Blocks ready", stats?.pool ? whole(stats.pool.blocks) : "–"],
    ["Held ahead in memory", bytes(stats?.service?.buffered_bytes ?? health?.reservoir?.buffered_bytes ?? NaN)],
    ["Served in all", bytes(served ?? NaN)],
    ["Newest image", fresh.image_age_s == null ? "–" : `${lasting(fresh.image_age_s)} ago`],
    ["Newest block", pool.since_last_push_s == null ? "–" : `${lasting(pool.since_last_push_s)} ago`],
    ["Next expiry in", lasting(pool.soonest_expiry_s ?? NaN)],
    ["Pool answers in", pool.reachable ? `${pool.round_trip_ms} ms` : "–"],
  ];
  const list = at("facts");
  if (!list.children.length) {
    list.append(...facts.map(([name]) => make("div", {}, make("dt", {}, name), make("dd"))));
  }
  facts.forEach(([, value], place) => { list.children[place].lastChild.textContent = value; });
}

// -------------------------------------------------------------------------------------------- draw

async function draw(event) {
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
  memory.drawn = { body, name: `${n}-bytes-${kind}.${{ raw: "bin", json: "json" }[format] ?? "txt"}` };
  at("bytes").textContent = format === "raw" ? hex(body) : new TextDecoder().decode(body);
  at("draw-status").className = "";
  show("draw-status", `${named(n, "byte")} drawn, class ${kind}${simulated ? ", simulated" : ""}.`);
  at("drawn-tags").replaceChildren(tag(kind, kind === "public" ? "warn" : "good"), tag(format), ...(simulated ? [simulatedTag()] : []));
  show("drawn-note", [
    simulated ? "A simulated camera is behind some of these bytes: its frames carry no noise from space." : "",
    kind === "public" ? "Anyone can compute these bytes from the images: never use them as a key."
      : "Nobody else gets these bytes, but they crossed the network and this screen.",
  ].join(" ").trim());
  const option = memory.key ? ' -H "X-API-Key: $KEY"' : "";
  show("curl", `curl${option} '${new URL(path, document.baseURI)}'`);
  showUsed(headers.get("X-Entropy-Blocks"));
  at("drawn").hidden = false;
}

function showUsed(header) {
  const parts = (header ?? "").split(",").map((part) => /^([0-9a-f-]{36}):(\d+)-(\d+)$/.exec(part)).filter(Boolean);
  at("used").hidden = !parts.length;
  at("used-blocks").replaceChildren(
    ...parts.map(([, id, start, end]) => make("li", {}, blockLink(id), ` bytes ${whole(start)} to ${whole(end - 1)}`)),
  );
}

function save() {
  const address = URL.createObjectURL(new Blob([memory.drawn.body], { type: "application/octet-stream" }));
  make("a", { href: address, download: memory.drawn.name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

async function copyText(text, button) {
  const before = button.textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

function copyButton(text) {
  const button = make("button", { type: "button", class: "quiet" }, "Copy");
  button.hidden = !navigator.clipboard; // only over HTTPS or on this machine
  button.addEventListener("click", () => copyText(text, button));
  return button;
}

// -------------------------------------------------------------------------------------------- batches

const BATCH_STATES = {
  published: ["published", "good"], validated: ["tested, not published yet", ""],
  working: ["not finished", ""], rejected: ["rejected", "bad"],
};

async function loadBatches() {
  if (memory.locked.has("batches")) return 0;
  let text = "";
  try {
    text = await (await ask("batches?limit=10")).text();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.wantsKey) askForKey(error, "batches");
    show("batches-note", error.wantsKey ? "The batches are for holders of an API key." : error.message);
    at("batches-note").hidden = false;
    return error.retryAfter * 1000;
  }
  if (text !== memory.batches) { // else what a reader has opened would close
    memory.batches = text;
    const { batches: found, dagster_url: dagster } = JSON.parse(text);
    at("batches").replaceChildren(...found.map((batch) => batchCard(batch, reachable(dagster))));
    show("batches-note", "No images have come yet: drop some into the inbox.");
    at("batches-note").hidden = found.length > 0;
  }
  return 0;
}

/** The address of the Dagster UI, if a link to it can lead there: not to this machine from another one. */
function reachable(address) {
  const own = (host) => host === "localhost" || host === "[::1]" || host.startsWith("127.");
  if (!/^https?:\/\//.test(address ?? "")) return null;
  return own(new URL(address).hostname) && !own(location.hostname) ? null : address.replace(/\/+$/, "");
}

function batchCard(batch, dagster) {
  const title = make("h3", { class: "mono" }, batch.key);
  if (batch.problem) {
    return make("article", { class: "batch" }, title, make("p", { class: "error" }, `This batch can’t be read: ${plain(batch.problem)}`));
  }
  const [state, kind] = BATCH_STATES[batch.state] ?? [batch.state, ""];
  const tags = make("p", { class: "tags" }, tag(state, kind), ...(batch.simulated ? [simulatedTag()] : []));
  tags.append(make("span", { class: "muted" }, "from ", make("strong", {}, batch.source), ", ", moment(batch.time)));
  if (dagster) {
    const href = `${dagster}/assets/raw_images?view=partitions&partition=${encodeURIComponent(batch.key)}`;
    tags.append(make("a", { href, rel: "noreferrer" }, "in Dagster"));
  }
  return make("article", { class: "batch" }, title, tags, make("p", {}, ...batchNumbers(batch)), ...imageLists(batch), ...blockLinks(batch));
}

function batchNumbers(batch) {
  const images = `${whole(batch.accepted_images)} of ${named(batch.image_count, "image")} accepted`;
  const blocks = `${named(batch.blocks, "block")}: ${whole(batch.passed)} passed, ${whole(batch.rejected)} rejected.`;
  const parts = [`${images}; ${batch.blocks ? blocks : "no blocks."}`];
  if (batch.failed_tests.length) parts.push(` The whole batch fails ${batch.failed_tests.map(words).join(", ")}.`);
  if (batch.published_at) parts.push(" Published ", moment(batch.published_at), ".");
  return parts;
}

function imageLists(batch) {
  const shown = 6;
  const place = (image) => [true, null, false].indexOf(image.accepted);
  const rows = [...batch.images].sort((one, other) => place(one) - place(other)).map(imageRow);
  const first = make("ul", { class: "images" }, ...rows.slice(0, shown));
  const beyond = batch.image_count - shown;
  if (beyond <= 0) return [first];
  const rest = make("details", { class: "more" }, make("summary", {}, `${whole(beyond)} more`), make("ul", { class: "images" }, ...rows.slice(shown)));
  const unnamed = batch.image_count - batch.images.length;
  if (unnamed) rest.append(make("p", { class: "muted" }, `${whole(unnamed)} of them are not named here.`));
  return [first, rest];
}

function imageRow(image) {
  const [sign, spoken, kind] = image.accepted ? ["✓", "accepted", "good"] : image.accepted === false ? ["✕", "rejected", "bad"] : ["…", "not looked at yet", ""];
  const what = image.accepted ? `accepted, credit ${whole(image.credit_bits)} bits` : image.accepted === false ? `rejected: ${words(image.reason)}` : spoken;
  const told = make("div", {}, make("span", { class: "file" }, image.file), " ", ...(image.simulated ? [simulatedTag()] : []));
  told.append(make("div", { class: "what" }, what), make("div", { class: "what" }, image.detail));
  return make("li", {}, make("span", { class: `mark-${kind}`, "aria-hidden": "true" }, sign), told);
}

function blockLinks(batch) {
  if (!batch.block_ids.length) return [];
  const line = make("p", { class: "ids" }, "Blocks: ");
  for (const id of batch.block_ids) line.append(blockLink(id, `${plain(id).slice(0, 8)}…`), " ");
  const beyond = batch.published_blocks - batch.block_ids.length;
  if (beyond > 0) line.append(`and ${whole(beyond)} more`);
  return [line];
}

// -------------------------------------------------------------------------------------------- one block

async function showBlock(id) {
  at("block-body").replaceChildren();
  at("block-status").className = "";
  show("block-status", "Asking the service …");
  let found;
  try {
    if (!BLOCK_ID.test(id)) throw new Refusal(404, "That is not the id of a block.");
    found = await askJson(`blocks/${id}`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.wantsKey) askForKey(error);
    at("block-status").className = "error";
    show("block-status", error.wantsKey ? `${error.message} (the key goes into the overview)` : error.message);
    return;
  }
  if (wantedBlock() !== id) return; // the reader went on meanwhile
  show("block-status", "");
  at("block-body").replaceChildren(...blockParts(id, found));
}

function blockParts(id, found) {
  const parts = [make("p", { class: "mono" }, id)];
  if (found.problem) parts.push(make("p", { class: "error" }, `Only the ledger knows this block: ${plain(found.problem)}`));
  if (found.images) parts.push(make("h3", {}, "The images behind it"), imagesBehind(found.images));
  if (found.verdict) parts.push(make("h3", {}, "Verdict"), ...verdictParts(found.verdict));
  parts.push(make("h3", {}, "Make it again"), ...againParts(id), make("h3", {}, "Record"), recordList(found));
  return parts;
}

function table(head, rows) {
  const cells = (kind, values) => make("tr", {}, ...values.map((value) => make(kind, kind === "th" ? { scope: "col" } : {}, value)));
  return make("div", { class: "table" }, make("table", {}, make("thead", {}, cells("th", head)), make("tbody", {}, ...rows.map((row) => cells("td", row)))));
}

function imagesBehind(images) {
  return make("ul", { class: "behind" }, ...images.map((image) => {
    const worth = `credit ${whole(image.credit_bits)} bits, min-entropy ${Number(image.min_entropy).toFixed(3)} bits a sample`;
    const name = make("div", {}, make("span", { class: "file" }, image.file), " ", ...(image.source === "simulated" ? [simulatedTag()] : []));
    return make("li", {}, name, make("div", {}, `${worth}, from ${plain(image.source)}`), make("div", { class: "mono muted" }, `SHA-256 ${plain(image.image_sha256)}`));
  }));
}

function verdictParts(verdict) {
  const state = verdict.passed ? tag("accepted", "good") : tag("rejected", "bad");
  const tags = make("p", { class: "tags" }, state, make("span", {}, `score ${Number(verdict.score).toFixed(1)} of 10, quality ${Number(verdict.quality).toFixed(1)}`));
  const names = [["shannon_entropy_p", "Shannon entropy"], ["chi_square", "chi-square"], ["runs", "runs"], ["autocorrelation", "autocorrelation"], ["p_star", "family value p*"]];
  const rows = names.filter(([name]) => Number.isFinite(verdict[name])).map(([name, title]) => [title, verdict[name].toPrecision(3)]);
  const note = "These tests find a broken block. They prove no entropy: that is assessed on the noise before hashing.";
  return [tags, table(["Test", "P-value"], rows), make("p", { class: "muted" }, note)];
}

function againParts(id) {
  const command = `entropy-assets audit ${id}`;
  return [
    make("p", {}, "Where the images and batches are kept, this makes the block again from its images and compares every step:"),
    make("div", { class: "row" }, make("pre", {}, command), copyButton(command)),
  ];
}

function recordList(found) {
  const times = { published_at_us: "Published", timestamp_us: "Made" };
  const rows = [
    ["Batch", found.batch], ["Position in it", found.index], ["Recipe", found.recipe], ["Run", found.run_id || "outside Dagster"],
    ...Object.entries(times).map(([name, title]) => [title, found[name] === undefined ? undefined : moment(found[name] / 1000)]),
    ["Credit spent", found.credit_bits === undefined ? undefined : `${whole(found.credit_bits)} bits`],
    ["SHA-256", found.block_sha256], ["Link", found.link], ["Link before", found.previous_link],
    ["Manifest", found.manifest_sha256], ["Link in the ledger", found.ledger_link],
  ].filter(([, value]) => value !== undefined);
  return make("dl", { class: "record" }, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { class: value instanceof Node ? "" : "mono" }, value)]));
}

// -------------------------------------------------------------------------------------------- the way around

const wantedBlock = () => (location.hash.startsWith("#block=") ? location.hash.slice(7) : null);

function route(event) {
  const id = wantedBlock();
  const changed = at("overview").hidden !== (id !== null);
  at("overview").hidden = id !== null;
  at("block").hidden = id === null;
  document.title = id === null ? "entropy_assets" : `Block ${plain(id).slice(0, 8)} · entropy_assets`;
  if (id !== null) {
    showBlock(id);
    if (event) at("block-title").focus();
    window.scrollTo(0, 0);
  } else if (changed && event) at("draw-title").scrollIntoView({ block: "nearest" });
}

function find(event) {
  event.preventDefault();
  const id = at("find-id").value.trim().toLowerCase();
  const fine = BLOCK_ID.test(id);
  show("find-note", fine ? "" : "That is not the id of a block: it has 32 hex digits in five groups.");
  if (fine) location.hash = `block=${id}`;
}

function useKey(event) {
  event.preventDefault();
  memory.key = at("key-text").value.trim();
  at("key-text").value = "";
  memory.locked.clear();
  memory.batches = "";
  show("key-note", memory.key ? "The key goes with every request of this page. An empty one forgets it." : "No key is sent.");
  polls.forEach((poll) => poll.now());
}

/** Ask again and again while the page is seen, never twice at once. */
class Poll {
  constructor(work, every) {
    this.work = work;
    this.every = every;
    this.timer = 0;
    this.busy = false;
  }

  async now() {
    clearTimeout(this.timer);
    if (this.busy || document.hidden) return;
    this.busy = true;
    let wait = 0;
    try { wait = await this.work(); } finally {
      this.busy = false;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.now(), Math.max(this.every, wait));
    }
  }
}

const polls = [new Poll(pollOnce, POLL_MS), new Poll(loadBatches, BATCHES_MS)];

at("draw-form").addEventListener("submit", draw);
at("key-form").addEventListener("submit", useKey);
at("find-form").addEventListener("submit", find);
at("copy").hidden = !navigator.clipboard;
at("copy").addEventListener("click", () => copyText(at("bytes").textContent, at("copy")));
at("save").addEventListener("click", save);
window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) memory.served = null; // a pause is a gap, not a low rate
  else polls.forEach((poll) => poll.now());
});
route(null);
polls.forEach((poll) => poll.now());
