// One block: its images, its verdict, its record, and the command that makes it again.

import {
  at,
  BLOCK_ID,
  copyButton,
  make,
  moment,
  named,
  NOT_FROM_SPACE,
  outward,
  plain,
  show,
  simulatedTag,
  tag,
  whole,
} from "./elements.js";
import { askForKey, askJson, Refusal } from "./asking.js";
import { fetchPicture, pictureOf, short } from "./pictures.js";

/** The id of the block that the address asks for. */
export const wantedBlock = () => (location.hash.startsWith("#block=") ? location.hash.slice(7) : null);

/** A block that reveals within so many seconds is asked for again by itself. */
const LONGEST_WAIT_S = 60;
const MOST_PICTURES = 12;

export async function showBlock(id) {
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
  for (const image of behind(found).slice(0, MOST_PICTURES)) fetchPicture(id, image);
  if (found.revealed === false && found.reveals_in_s !== null && found.reveals_in_s < LONGEST_WAIT_S)
    setTimeout(() => wantedBlock() === id && showBlock(id), 1000 * found.reveals_in_s + 200);
}

const behind = (found) => (found.images || []).filter((image) => image.in_block);

function blockParts(id, found) {
  const parts = [make("p", { class: "mono" }, id), ...simulatedParts(found)];
  if (found.revealed === false) parts.push(make("p", { id: "unrevealed" }, `${plain(found.problem)}.`));
  else if (found.removed) parts.push(make("p", { id: "removed" }, `${plain(found.problem)}.`));
  else if (found.problem)
    parts.push(make("p", { class: "error" }, `Only the ledger knows this block: ${plain(found.problem)}`));
  const images = behind(found);
  if (images.length) parts.push(make("h3", {}, "The images behind it"), imagesBehind(images));
  if (found.verdict) parts.push(make("h3", {}, "Verdict"), ...verdictParts(found.verdict));
  if (!found.removed) parts.push(make("h3", {}, "Make it again"), ...againParts(id, found));
  parts.push(make("h3", {}, "Record"), recordList(found));
  return parts;
}

/** What a block that a simulated camera is behind says of itself, before and after it reveals. */
function simulatedParts(found) {
  if (!found.simulated && !behind(found).some((image) => image.source === "simulated")) return [];
  const told = ` A simulated camera is behind this block: ${NOT_FROM_SPACE}`;
  return [make("p", { id: "simulated-block" }, simulatedTag(), told)];
}

function table(head, rows) {
  const cells = (kind, values) =>
    make("tr", {}, ...values.map((value) => make(kind, kind === "th" ? { scope: "col" } : {}, value)));
  return make(
    "div",
    { class: "table" },
    make(
      "table",
      {},
      make("thead", {}, cells("th", head)),
      make("tbody", {}, ...rows.map((row) => cells("td", row))),
    ),
  );
}

function imagesBehind(images) {
  return make(
    "ul",
    { class: "behind" },
    ...images.map((image, place) => {
      const worth = `credit ${whole(image.credit_bits)} bits, min-entropy ${Number(image.min_entropy).toFixed(3)} bits a sample`;
      const name = make(
        "div",
        {},
        make("span", { class: "file" }, image.file),
        " ",
        ...(image.source === "simulated" ? [simulatedTag()] : []),
      );
      return make(
        "li",
        {},
        name,
        make("div", {}, `${worth}, from ${plain(image.source)}`),
        ...originParts(image.origin),
        make("div", { class: "mono muted" }, `SHA-256 ${plain(image.image_sha256)}`),
        ...(place < MOST_PICTURES ? [pictureOf(image)] : []),
      );
    }),
  );
}

/** Whose an image is, and where a feed fetched it. */
function originParts(origin) {
  if (!origin) return [];
  const owed = [
    ["Credit", origin.credit],
    ["Licence", origin.licence],
    ["Instrument", origin.instrument],
  ].filter(([, text]) => text);
  const parts = owed.map(([name, text]) => make("div", {}, `${name}: ${short(plain(text))}`));
  const fetched = make("div", {}, "Fetched ", moment(origin.fetched_at), " from ", outward(origin.url));
  if (origin.dated_at) fetched.append(", dated ", moment(origin.dated_at));
  return [...parts, fetched];
}

function verdictParts(verdict) {
  const state = verdict.passed ? tag("accepted", "good") : tag("rejected", "bad");
  const tags = make(
    "p",
    { class: "tags" },
    state,
    make(
      "span",
      {},
      `score ${Number(verdict.score).toFixed(1)} of 10 by the tests, ${Number(verdict.quality).toFixed(1)} with the noise of its images`,
    ),
  );
  const names = [
    ["shannon_entropy_p", "Shannon entropy"],
    ["chi_square", "chi-square"],
    ["runs", "runs"],
    ["autocorrelation", "autocorrelation"],
    ["p_star", "family value p*"],
  ];
  const rows = names
    .filter(([name]) => Number.isFinite(verdict[name]))
    .map(([name, title]) => [title, verdict[name].toPrecision(3)]);
  const note =
    "These tests find a broken block. They prove no entropy: that is assessed on the noise before hashing.";
  return [tags, table(["Test", "P-value"], rows), make("p", { class: "muted" }, note)];
}

function againParts(id, found) {
  const parts = [
    make(
      "p",
      {},
      "Where the images and batches are kept, this makes the block again from its images and compares every step:",
    ),
    commandRow(`entropy-assets audit ${id}`),
  ];
  if (found.lane !== "public") return parts;
  const images = found.images ? `all ${named(found.images.length, "image")} of its batch` : "all images of its batch";
  parts.push(
    make("p", {}, `Whoever trusts nothing here does it with ${images} in a folder and what this service tells:`),
    commandRow(`entropy-assets audit ${id} --images FOLDER --url ${location.origin}`),
  );
  return parts;
}

const commandRow = (command) => make("div", { class: "row" }, make("pre", {}, command), copyButton(command));

function recordList(found) {
  const times = { published_at_us: "Published", timestamp_us: "Made" };
  const rows = [
    ["Batch", found.batch],
    ["Lane", found.lane],
    ["Position in it", found.index],
    ["Recipe", found.recipe],
    ["Run", found.run_id || "outside Dagster"],
    ...Object.entries(times).map(([name, title]) => [
      title,
      found[name] === undefined ? undefined : moment(found[name] / 1000),
    ]),
    ["Credit spent", found.credit_bits === undefined ? undefined : `${whole(found.credit_bits)} bits`],
    ["SHA-256", found.block_sha256],
    ["Link", found.link],
    ["Link before", found.previous_link],
    ["Manifest", found.manifest_sha256],
    ["Link in the ledger", found.ledger_link],
  ].filter(([, value]) => value !== undefined);
  return make(
    "dl",
    { class: "record" },
    ...rows.flatMap(([name, value]) => [
      make("dt", {}, name),
      make("dd", { class: value instanceof Node ? "" : "mono" }, value),
    ]),
  );
}
