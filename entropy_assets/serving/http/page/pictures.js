// Small pictures of images, and whose they are. A picture is had behind a block that revealed, and only there: those of
// a private batch are never shown. Names and hashes of images stand in the list of batches before that, beside the blocks
// of each: who has the images does not know where they were sampled.

import { make, plain } from "./elements.js";
import { ask, askJson, Refusal, session } from "./asking.js";

const HASH = /^[0-9a-f]{64}$/;
const LONGEST_TEXT = 300;
const MOST_PICTURES = 12;
/** Blocks that are asked for in one go, and how soon and how late one is again that did not reveal yet: when it expires
 * is told, and it may be used up long before, or the pool did not answer just then. */
const MOST_BLOCKS = 4;
const AGAIN_MS = 10000;
const LATEST_MS = 30000;

/** A picture by its image's hash: an address with the bytes in it; null if the service keeps none. */
const known = new Map();
/** When a block may be asked for again. */
const due = new Map();

/** Blocks that the reader drew from: they reveal soon. */
let drawn = [];

export function drewFrom(ids) {
  drawn = [...new Set([...ids, ...drawn])].slice(0, MOST_BLOCKS);
}

/** Drop every picture, and ask for every block again: the reader has another key, and may be another reader. */
export function forgetPictures() {
  due.clear();
  known.clear();
}

export const short = (text) => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text);

/** A place for the picture of an image, with the picture if it is known already. */
export function pictureOf(image) {
  const place = make("div", { class: "thumbnail", "data-image": image.image_sha256 });
  put(place, image);
  return place;
}

function put(place, image) {
  const source = known.get(image.image_sha256);
  if (source && !place.firstChild)
    place.append(make("img", { src: source, alt: `A small picture of ${plain(image.file)}` }));
}

/** Ask for the picture of an image behind a block, with the reader's key, and put it into all its places. */
export async function fetchPicture(id, image) {
  const name = image.image_sha256;
  if (!HASH.test(name)) return;
  if (!known.has(name)) {
    const key = session.key;
    let source = null;
    try {
      source = await addressOf(await (await ask(`blocks/${id}/thumbnails/${name}`, "image/png")).blob());
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.status !== 404) return; // it may come another time
    }
    if (session.key !== key) return; // it was for who had that key
    known.set(name, source);
  }
  for (const place of document.querySelectorAll(`[data-image="${name}"]`)) put(place, image);
}

const addressOf = (png) =>
  new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(png);
  });

/** Put pictures into the list of batches: of the newest accepted images, as far as a block behind them revealed. */
export async function fillBatches(batches) {
  const images = batches.flatMap((batch) => (batch.images ?? []).filter((image) => image.accepted));
  const wanted = new Set(images.slice(0, MOST_PICTURES).map((image) => image.image_sha256));
  const isMissing = (image) => wanted.has(image.image_sha256) && !known.has(image.image_sha256);
  const isDue = (id) => (due.get(id) ?? 0) <= Date.now();
  let asked = 0;
  for (const ids of [drawn, ...batches.map((batch) => ((batch.images ?? []).some(isMissing) ? batch.block_ids : []))]) {
    const id = ids?.find(isDue);
    if (!id || !images.some(isMissing)) continue;
    if (++asked > MOST_BLOCKS) return;
    const found = await askJson(`blocks/${id}`);
    const never = found.revealed === false && found.reveals_in_s === null;
    const left = Math.min(LATEST_MS, Math.max(AGAIN_MS, 1000 * found.reveals_in_s));
    const wait = found.revealed === false && !never ? left : Infinity;
    // of a batch that is private no block ever reveals
    for (const each of never ? ids : [id]) due.set(each, Date.now() + wait);
    for (const image of found.images ?? []) if (image.in_block && isMissing(image)) await fetchPicture(id, image);
  }
}
