// What /screen shows of an entry: view/showing.py and templates/screen.html make the same of the first.

import { element, parsed } from "./elements.js";

const MOST_CHARS = 240;
const SIZES = [80, 120, 180];
const WEEK = 7;

const { zone, ...facts } = document.querySelector("main").dataset;
const [labels, heights] = [facts.labels, facts.heights].map((said) => JSON.parse(said));
const clocks = new Intl.DateTimeFormat("en-CA", { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dates = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });

// -- times, where the owner lives -----------------------------------------------------------------

function clockOf(moment) {
  return clocks.format(moment);
}

export function today() {
  return dates.format(new Date());
}

export function minuteOf(moment) {
  const [hours, minutes] = clockOf(moment).split(":").map(Number);
  return 60 * hours + minutes;
}

// -- slides ---------------------------------------------------------------------------------------

// `source` is its picture's address; nothing is loaded here. Null for what not everybody wants to see so large.
export function slideOf({ id, kind, summary, location, data, html }) {
  const card = parsed(html);
  if (!card || data.content_warning || data.sensitive === true) return null;
  const name = nameIn(card);
  const cover = card.querySelector("img.cover");
  const found = cover ?? card.querySelector("img.u-photo, .vid img, video[poster]");
  return {
    id,
    ordered: card.dataset.ordered,
    day: card.dataset.day,
    hour: /\bh(\d\d)\b/.exec(card.className)?.[1] ?? "12",
    language: card.lang,
    minute: minuteOf(new Date(card.dataset.ordered)),
    height: heights[kind] ?? heights.other,
    look: cover ? "cover" : found ? "photo" : "words",
    title: name || shortened(summary) || location?.name || labels[kind],
    serif: !name && Boolean(summary),
    label: (card.querySelector(".listen") && data.artist) || labels[kind],
    when: () => whenSaid(card),
    source: (found?.getAttribute("src") || found?.getAttribute("poster") || "").replace(/-\d+\.webp$/, "-1600.webp"),
    alt: (!cover && found?.alt) || "",
  };
}

function nameIn(card) {
  const found = card.querySelector(".ver") ?? ownName(card);
  const copy = found?.cloneNode(true);
  if (copy?.matches("h3")) copy.querySelectorAll("code").forEach((branch) => branch.remove());
  return copy?.textContent.replace(/\s+/g, " ").trim() ?? "";
}

function ownName(card) {
  return [...card.querySelectorAll(".p-name")].find((one) => !one.closest(".p-location:not(.place)"));
}

function shortened(text) {
  if (text.length <= MOST_CHARS) return text;
  const end = text.lastIndexOf(" ", MOST_CHARS);
  return `${text.slice(0, end > MOST_CHARS / 2 ? end : MOST_CHARS - 1).trimEnd()}…`;
}

function whenSaid({ dataset }) {
  const age = Date.now() - Date.parse(dataset.ordered);
  if (age >= 0 && age < 60_000) return "just now";
  const days = Math.round((Date.parse(today()) - Date.parse(dataset.day)) / 86_400_000);
  const clock = clockOf(new Date(dataset.ordered));
  if (days === 0) return clock;
  return days > 0 && days < WEEK ? `${dataset.weekday} ${clock}` : dataset.date;
}

export function quiet(since) {
  return onTheSky(`Quiet. Last entry ${ago(Date.now() - since)} ago.`, "");
}

export function nothing() {
  return onTheSky("Nothing yet.", "The first entry will appear here by itself.");
}

function onTheSky(title, label) {
  return { look: "words", title, label, hour: clockOf(new Date()).slice(0, 2), when: () => "" };
}

function ago(time) {
  const minutes = Math.round(time / 60_000);
  const [unit, size] = minutes < 100 ? ["minute", 1] : minutes < 2 * 1440 ? ["hour", 60] : ["day", 1440];
  const count = Math.round(minutes / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

export function drawn(slide, picture) {
  const look = picture ? slide.look : "words";
  const size = SIZES.filter((most) => slide.title.length > most).length;
  const article = element("article", { className: `slide slide-${look} size${size} sky${slide.hour}` });
  article.classList.toggle("serif", Boolean(slide.serif) && look === "words");
  if (slide.id) article.dataset.id = slide.id;
  if (slide.language) article.lang = slide.language;
  if (look === "photo") article.append(...filling(article, picture));
  if (look === "cover") article.append(picture);
  const caption = element("div", { className: "cap" });
  caption.append(element("h1", { dir: "auto", textContent: slide.title }));
  const small = [slide.label, slide.when()].filter(Boolean);
  if (small.length) caption.append(element("p", { textContent: small.join(", ") }));
  article.append(caption);
  return article;
}

// An upright picture on a broad screen stands before its own blurred copy.
function filling(article, picture) {
  picture.className = "full";
  const parts = [picture, element("div", { className: "veil" })];
  if (picture.naturalHeight <= picture.naturalWidth) return parts;
  article.classList.add("tall");
  const back = picture.cloneNode();
  back.className = "full back";
  back.alt = "";
  return [back, ...parts];
}
