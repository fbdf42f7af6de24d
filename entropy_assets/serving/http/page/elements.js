// What the page is made of: elements whose text is text, and how numbers and times are written.

export const BLOCK_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

export const at = (id) => document.getElementById(id);

/** Text that cannot hide or turn around what stands beside it. */
export const plain = (value) => String(value ?? "").replace(UNSEEN, "\ufffd");

/** An element with properties and children; strings become text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : plain(child))));
  return element;
}

export const show = (id, text) => {
  if (at(id).textContent !== text) at(id).textContent = text;
};
export const tag = (text, kind = "") => make("span", { class: `tag ${kind}` }, text);
export const words = (code) => plain(code).replaceAll("_", " ");
export const whole = (number) => Number(number ?? 0).toLocaleString("en");
export const simulatedTag = () => tag("simulated", "note");
export const NOT_FROM_SPACE =
  "its frames carry no noise from space, only fresh bytes of this machine’s operating system.";
export const named = (value, name) => `${whole(value)} ${name}${value === 1 ? "" : "s"}`;

export function bytes(count) {
  if (!Number.isFinite(count)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (count >= 1024 && place < units.length - 1) {
    count /= 1024;
    place += 1;
  }
  return `${count.toLocaleString("en", { maximumFractionDigits: place && count < 100 ? 1 : 0 })} ${units[place]}`;
}

export function lasting(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const steps = [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ];
  const [length, unit] = steps.find(([step]) => seconds >= 2 * step) ?? [1, "s"];
  return `${Math.round(seconds / length)} ${unit}`;
}

export function moment(text) {
  const when = new Date(text);
  if (Number.isNaN(when.getTime())) return plain(text);
  const shown = `${when.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return make("time", { datetime: when.toISOString() }, shown);
}

export const blockLink = (id, text) =>
  BLOCK_ID.test(id) ? make("a", { href: `#block=${id}`, class: "mono" }, text ?? id) : plain(id);

const LONGEST_LINK = 100;

/** A link to another site, if an address leads to one by HTTP and names no user; else its text. */
export function outward(address) {
  const text = plain(address);
  let url;
  try {
    url = new URL(text);
  } catch {
    return text;
  }
  if (!["https:", "http:"].includes(url.protocol) || url.username || url.password) return text;
  const shown = url.href.length > LONGEST_LINK ? `${url.href.slice(0, LONGEST_LINK)}…` : url.href;
  return make("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, shown);
}

export async function copyText(text, button) {
  const before = button.textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

export function copyButton(text) {
  const button = make("button", { type: "button", class: "quiet" }, "Copy");
  button.hidden = !navigator.clipboard; // only over HTTPS or on this machine
  button.addEventListener("click", () => copyText(text, button));
  return button;
}
