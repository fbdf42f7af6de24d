// The last batches with their images and verdicts.

import {
  at,
  blockLink,
  make,
  moment,
  named,
  NOT_FROM_SPACE,
  plain,
  show,
  simulatedTag,
  tag,
  whole,
  words,
} from "./elements.js";
import { ask, askForKey, Refusal, session } from "./asking.js";
import { fillBatches, forgetPictures, pictureOf, short } from "./pictures.js";

export const BATCHES_MS = 10000;

let listed = "";
let shown = [];

/** Drop the list and its pictures: it comes anew with what the reader's key may see. */
export function forget() {
  listed = "";
  shown = [];
  at("batches").replaceChildren();
  forgetPictures();
}

const BATCH_STATES = {
  published: ["published", "good"],
  validated: ["tested, not published yet", ""],
  working: ["not finished", ""],
  rejected: ["rejected", "bad"],
};

export async function load() {
  if (session.locked.has("batches")) return 0;
  const key = session.key;
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
  if (session.key !== key) return 0;
  if (text !== listed) {
    // else what a reader has opened would close
    listed = text;
    const { batches: found, dagster_url: dagster } = JSON.parse(text);
    shown = found;
    at("batches").replaceChildren(...found.map((batch) => batchCard(batch, reachable(dagster))));
    show("batches-note", "No images have come yet: drop some into the inbox.");
    at("batches-note").hidden = found.length > 0;
  }
  try {
    await fillBatches(shown);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.retryAfter * 1000; // the list stands without pictures
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
    return make(
      "article",
      { class: "batch" },
      title,
      make("p", { class: "error" }, `This batch can’t be read: ${plain(batch.problem)}`),
    );
  }
  const [state, kind] = BATCH_STATES[batch.state] ?? [batch.state, ""];
  const tags = make("p", { class: "tags" }, tag(state, kind), tag(`${plain(batch.lane)} lane`));
  if (batch.simulated) tags.append(simulatedTag());
  tags.append(make("span", { class: "muted" }, "from ", make("strong", {}, batch.source), ", ", moment(batch.time)));
  if (dagster) {
    const href = `${dagster}/assets/raw_images?view=partitions&partition=${encodeURIComponent(batch.key)}`;
    tags.append(make("a", { href, rel: "noreferrer" }, "in Dagster"));
  }
  return make(
    "article",
    { class: "batch" },
    title,
    tags,
    ...(batch.simulated ? [make("p", {}, `A simulated camera is behind this batch: ${NOT_FROM_SPACE}`)] : []),
    make("p", {}, ...batchNumbers(batch)),
    ...imageLists(batch),
    ...blockLinks(batch),
  );
}

function batchNumbers(batch) {
  const images = `${whole(batch.accepted_images)} of ${named(batch.image_count, "image")} accepted`;
  const blocks = `${named(batch.blocks, "block")}: ${whole(batch.passed)} passed, ${whole(batch.rejected)} rejected.`;
  const none = batch.state === "rejected" && batch.accepted_images ? "no block: too little credit for one." : "no blocks.";
  const parts = [`${images}; ${batch.blocks ? blocks : none}`];
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
  const rest = make(
    "details",
    { class: "more" },
    make("summary", {}, `${whole(beyond)} more`),
    make("ul", { class: "images" }, ...rows.slice(shown)),
  );
  const unnamed = batch.image_count - batch.images.length;
  if (unnamed) rest.append(make("p", { class: "muted" }, `${whole(unnamed)} of them are not named here.`));
  return [first, rest];
}

function imageRow(image) {
  const [sign, spoken, kind] = image.accepted
    ? ["✓", "accepted", "good"]
    : image.accepted === false
      ? ["✕", "rejected", "bad"]
      : ["…", "not looked at yet", ""];
  const what = image.accepted
    ? `accepted, credit ${whole(image.credit_bits)} bits`
    : image.accepted === false
      ? `rejected: ${words(image.reason)}`
      : spoken;
  const told = make(
    "div",
    {},
    make("span", { class: "file" }, image.file),
    " ",
    ...(image.simulated ? [simulatedTag()] : []),
  );
  told.append(make("div", { class: "what" }, what), make("div", { class: "what" }, image.detail));
  if (image.advice) told.append(make("div", { class: "what" }, `What to do: ${image.advice}.`));
  if (image.credit_line || image.licence) told.append(make("div", { class: "what" }, owed(image)));
  if (image.accepted) told.append(pictureOf(image));
  return make("li", {}, make("span", { class: `mark-${kind}`, "aria-hidden": "true" }, sign), told);
}

/** What must be shown with an image of a feed: whose it is, and on what terms. */
function owed(image) {
  const lines = [
    ["Credit", image.credit_line],
    ["Licence", image.licence],
  ].filter(([, text]) => text);
  return lines.map(([name, text]) => `${name}: ${short(plain(text))}`).join(". ");
}

function blockLinks(batch) {
  if (!batch.block_ids.length) return [];
  const line = make("p", { class: "ids" }, "Blocks: ");
  for (const id of batch.block_ids) line.append(blockLink(id, `${plain(id).slice(0, 8)}…`), " ");
  const beyond = batch.published_blocks - batch.block_ids.length;
  if (beyond > 0) line.append(`and ${whole(beyond)} more`);
  return [line];
}
