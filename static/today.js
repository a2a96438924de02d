// Today's figures, kept up in place and in silence: the sentence, the filters' counts, the ribbon's ticks and its needle.

const main = document.querySelector("main[data-live-url]");
const filters = document.querySelector("[data-counts]");
const sentence = document.querySelector("h1[data-told]");
const ribbon = document.querySelector(".lead .ribbon[data-now]");
const EVERY = 20_000;

if (main && filters) {
  const today = filters.dataset.counts;
  document.addEventListener("stream:put", ({ detail }) => {
    if (!detail.fresh || detail.day !== today) return;
    const { entry } = detail;
    add("", 1);
    add(entry.kind, 1);
    tell(entry.kind, amountOf(entry), today);
    tick(entry.kind, detail.card);
  });
  document.addEventListener("stream:gone", ({ detail: { card } }) => {
    const kind = card.className.match(/\bk-(\w+)/)?.[1];
    if (kind && card.dataset.day === today) ["", kind].forEach((one) => add(one, -1));
  });
  moveNeedle();
  setInterval(() => document.hidden || moveNeedle(), EVERY);
}

// A push counts as its commits, photos as many as there are.
function amountOf({ kind, data, media }) {
  if (kind === "code") return Math.max(1, data.commits?.length ?? 1);
  if (kind === "photo") return Math.max(1, media.filter(({ type }) => type.startsWith("image")).length);
  return 1;
}

function add(kind, by) {
  const count = filters.querySelector(`[data-count="${CSS.escape(kind)}"]`);
  if (count) count.textContent = written(Math.max(0, read(count.textContent) + by) || "");
}

function tell(kind, amount, today) {
  if (sentence?.dataset.told !== today) return;
  const link = sentence.querySelector(`[data-amount="${CSS.escape(kind)}"]`);
  if (!link) return;
  const now = read(link.textContent) + amount;
  link.textContent = `${written(now)} ${now === 1 ? link.dataset.one : link.dataset.many}`;
}

function read(text) {
  return Number(text.match(/\d[\d,.\s]*/)?.[0].replace(/\D/g, "") ?? 0);
}

function written(number) {
  return typeof number === "number" ? number.toLocaleString(document.documentElement.lang) : number;
}

// -- the ribbon -----------------------------------------------------------------------------------

function tick(kind, card) {
  if (!ribbon) return;
  const svg = ribbon.querySelector("svg");
  const { foot, tops } = JSON.parse(ribbon.dataset.ticks);
  const line = document.createElementNS(svg.namespaceURI, "path");
  line.setAttribute("d", `M${minute(new Date(card.dataset.ordered))} ${foot}V${tops[kind] ?? tops.other}`);
  for (const [name, value] of Object.entries({ stroke: "currentColor", "stroke-width": 3, "vector-effect": "non-scaling-stroke" })) {
    line.setAttribute(name, value);
  }
  svg.prepend(line);
}

function moveNeedle() {
  if (!ribbon) return;
  const now = minute(new Date());
  const needle = ribbon.querySelector(".needle");
  needle.setAttribute("d", needle.getAttribute("d").replace(/^M\d+/, `M${now}`));
  const ahead = ribbon.querySelector(".ahead");
  ahead.setAttribute("x", now);
  ahead.setAttribute("width", 1440 - now);
}

// Of the owner's day.
function minute(when) {
  const form = { hour: "numeric", minute: "numeric", hourCycle: "h23", timeZone: main.dataset.zone };
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en", form).formatToParts(when).map(({ type, value }) => [type, Number(value)]),
  );
  return parts.hour * 60 + parts.minute;
}
