// The page of the service: who is asked when, and what a click does. Whatever comes over the network becomes text nodes
// and checked attributes, never HTML.

import { at, BLOCK_ID, copyText, plain, show } from "./elements.js";
import { session } from "./asking.js";
import { pause, poll, POLL_MS } from "./live.js";
import { draw, save } from "./drawing.js";
import { BATCHES_MS, forget, load } from "./batches.js";
import { showBlock, wantedBlock } from "./block.js";

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
  session.key = at("key-text").value.trim();
  at("key-text").value = "";
  session.locked.clear();
  forget();
  at("block-body").replaceChildren();
  show(
    "key-note",
    session.key ? "The key goes with every request of this page. An empty one forgets it." : "No key is sent.",
  );
  polls.forEach((each) => each.now());
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
    try {
      wait = await this.work();
    } finally {
      this.busy = false;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.now(), Math.max(this.every, wait));
    }
  }
}

const polls = [new Poll(poll, POLL_MS), new Poll(load, BATCHES_MS)];

at("draw-form").addEventListener("submit", draw);
at("key-form").addEventListener("submit", useKey);
at("find-form").addEventListener("submit", find);
at("copy").hidden = !navigator.clipboard;
at("copy").addEventListener("click", () => copyText(at("bytes").textContent, at("copy")));
at("save").addEventListener("click", save);
window.addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) pause();
  else polls.forEach((each) => each.now());
});
route(null);
polls.forEach((each) => each.now());
