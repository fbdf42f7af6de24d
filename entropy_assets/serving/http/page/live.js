// The state of the service, and how much it holds and serves.

import { at, bytes, lasting, make, plain, show, whole, words } from "./elements.js";
import { askForKey, askJson, session } from "./asking.js";

export const POLL_MS = 2000;
const KEPT = 150; // points of a line: five minutes
const SVG = "http://www.w3.org/2000/svg";

const kept = { depths: [], rates: [], served: null, low: 0 };

/** Begin a gap in the rate: a pause is no low rate. */
export function pause() {
  kept.served = null;
}

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
    ...reasons.map(({ code, detail }) =>
      make("li", {}, make("strong", {}, words(code).replaceAll("-", " ")), `: ${plain(detail)}`),
    ),
  );
}

export async function poll() {
  const [health, stats] = await Promise.allSettled([
    askJson("health", 503),
    session.locked.has("stats") ? null : askJson("stats"),
  ]);
  const refused = stats.reason;
  if (refused?.wantsKey) askForKey(refused, "stats");
  if (health.value?.status) showState(health.value.status, health.value.reasons ?? []);
  else if (health.reason?.wantsKey) askForKey(health.reason);
  else showState("silent", [{ code: "health", detail: health.reason?.message ?? "no answer that this page knows" }]);
  showLive(health.value ?? null, stats.value ?? null);
  at("live-note").hidden = !(session.locked.has("stats") || refused);
  show(
    "live-note",
    session.locked.has("stats") ? "The counts are for holders of an API key." : (refused?.message ?? ""),
  );
  return Math.max(refused?.retryAfter ?? 0, health.reason?.retryAfter ?? 0) * 1000;
}

function showLive(health, stats) {
  const depth = stats?.pool?.bytes ?? (health?.pool?.reachable ? health.pool.ready_bytes : null);
  kept.low = health?.pool?.low_water_bytes ?? kept.low;
  keep(kept.depths, depth);
  keep(kept.rates, rateNow(stats));
  const rate = kept.rates.at(-1);
  show("depth", depth === null ? "–" : bytes(depth));
  show("rate", rate === null ? "–" : `${bytes(rate)}/s`);
  drawLine(at("depth-line"), kept.depths, kept.low);
  drawLine(at("rate-line"), kept.rates, null);
  show("depth-scale", `Dashed: low water, ${bytes(kept.low)}`);
  show("rate-scale", `Most: ${bytes(Math.max(0, ...kept.rates))}/s`);
  showFacts(health, stats);
}

function keep(values, value) {
  values.push(value);
  if (values.length > KEPT) values.shift();
}

/** Bytes per second since the last answer; null without one, or when a restart set the count back. */
function rateNow(stats) {
  const counts = stats?.service?.served_bytes;
  const before = kept.served;
  const now = performance.now();
  kept.served = counts ? { total: (counts.public ?? 0) + (counts.private ?? 0), when: now } : null;
  if (!before || !kept.served || kept.served.total < before.total) return null;
  return ((kept.served.total - before.total) * 1000) / (now - before.when);
}

function showFacts(health, stats) {
  const pool = health?.pool ?? {};
  const fresh = health?.freshness ?? {};
  const served = kept.served?.total;
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
  facts.forEach(([, value], place) => {
    list.children[place].lastChild.textContent = value;
  });
}

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
