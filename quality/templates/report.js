"use strict";
// Counts come from SQL (see quality/distributions.py and quality/simulation.py); this page only looks them up and ANDs them.
const state = JSON.parse(document.getElementById("state").textContent);
const whole = new Intl.NumberFormat("en-US");
const $ = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const percent = (n, of) => (of ? (100 * n / of).toFixed(1) : "0.0") + " %";

// pictures

function show(root) {
  for (const button of root.querySelectorAll(".shot[data-id]")) {
    const image = button.querySelector("img");
    if (image && !image.src) image.src = state.pictures[button.dataset.id].url;
  }
}
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { show(entry.target); near.unobserve(entry.target); }
}, { rootMargin: "900px" });
for (const part of document.querySelectorAll(".strip, .pair")) near.observe(part);
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; show(document); });

let looking = null;
function look(button) {
  looking = button;
  const sample = state.pictures[button.dataset.id];
  const image = $("look-img");
  image.hidden = !sample.url; $("look-why").hidden = Boolean(sample.url); $("look-why").textContent = sample.why;
  if (sample.url) image.src = sample.url;
  image.alt = sample.alt;
  $("look-key").textContent = sample.key;
  $("look-caption").textContent = sample.caption || "(no caption)";
  const rows = [["tier", sample.tier || "none yet"], ["source", sample.source], ["picture", sample.facts], ["copy", sample.copy],
    ["failed", sample.failed.join(", ") || "no rule"], ...sample.values, ["sample", button.dataset.id],
    ["more", `goldsieve why ${state.lake} ${button.dataset.id}`]];
  $("look-facts").replaceChildren(...rows.filter(([, value]) => value).flatMap(([name, value]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name; dd.textContent = value;
    return [dt, dd];
  }));
  if (!$("look").open) $("look").showModal();
}
function leaf(step) {
  const all = [...document.querySelectorAll(".shot[data-id]")];
  const next = all[(all.indexOf(looking) + step + all.length) % all.length];
  if (next) look(next);
}
document.addEventListener("click", (event) => { const shot = event.target.closest(".shot[data-id]"); if (shot) look(shot); });
$("look-close").addEventListener("click", () => $("look").close());
$("look-next").addEventListener("click", () => leaf(1));
$("look-before").addEventListener("click", () => leaf(-1));
$("look").addEventListener("click", (event) => { if (event.target === $("look")) $("look").close(); });
$("look").addEventListener("close", () => { if (looking) looking.focus(); });

// sliders

const simulation = state.simulation;
const rest = bytes(simulation.rest);
const leaves = simulation.leaves.map((one) => ({ ...one, positions: bytes(one.positions), sides: one.sides && bytes(one.sides), now: one.at }));

function passing(signal, at, op) {
  if (op === ">=") return signal.atLeast[at];
  if (op === ">") return signal.above[at];
  return signal.known - (op === "<" ? signal.atLeast[at] : signal.above[at]);
}
// Every threshold of a rule that is moved decides alone; the others of that rule stay where they are.
function rulesNow() {
  const rules = new Map();
  for (const one of leaves) {
    const name = one.tier + "\n" + one.rule;
    if (!rules.has(name) || one.now !== one.at) rules.set(name, one);
  }
  return [...rules.values()];
}
function tierCounts(chosen) {
  const counts = simulation.tiers.map(() => 0);
  const byTier = simulation.tiers.map((tier) => chosen.filter((one) => one.tier === tier.name));
  const inside = new Uint8Array(simulation.tiers.length);
  for (let i = 0; i < simulation.samples; i++) {
    let last = -1;
    for (let t = 0; t < inside.length; t++) {
      const base = simulation.tiers[t].base;
      let ok = (rest[i] >> t & 1) && (base === null || inside[base]);
      for (const one of byTier[t]) {
        if (!ok) break;
        const passed = one.positions[i];
        const yes = passed !== 255 && (one.op[0] === ">" ? passed > one.now : passed <= one.now);
        ok = one.sides ? one.sides[i] >> (passed === 255 ? 2 : yes ? 1 : 0) & 1 : yes;
      }
      inside[t] = ok ? 1 : 0;
      if (ok) last = t;
    }
    if (last >= 0) counts[last]++;
  }
  return counts;
}
function ruleText(one) { return one.pattern.replace("{}", String(state.signals.find((s) => s.leaf === leaves.indexOf(one)).cuts[one.now])); }
function quoted(text) { return "'" + text.replaceAll("'", "'\\''") + "'"; }

const before = tierCounts(leaves.map((one) => ({ ...one, now: one.at })).filter((one, i, all) => all.findIndex((o) => o.tier === one.tier && o.rule === one.rule) === i));
let waiting = 0;
function summary() {
  waiting = 0;
  if (!$("now")) return;
  const counts = tierCounts(rulesNow());
  const scale = simulation.samples ? simulation.of / simulation.samples : 1;
  const about = scale > 1 ? "about " : "";
  $("now").replaceChildren(...simulation.tiers.flatMap((tier, i) => {
    const part = document.createElement("span"), strong = document.createElement("b"), delta = document.createElement("span");
    const n = Math.round(counts[i] * scale), d = n - Math.round(before[i] * scale);
    strong.textContent = about + whole.format(n);
    delta.className = "delta" + (d > 0 ? " up" : d < 0 ? " down" : "");
    delta.textContent = d ? ` ${d > 0 ? "+" : "−"}${whole.format(Math.abs(d))}` : " as it is";
    part.append(strong, ` ${tier.name}`, delta);
    return [part, document.createTextNode("  ")];
  }));
  $("now").dataset.counts = JSON.stringify(counts);
  const moved = rulesNow().filter((one) => one.now !== one.at);
  $("command").hidden = !moved.length;
  $("text").textContent = "goldsieve tier RECIPE --dry-run " + moved.map((one) => "--set " + quoted(`${one.tier}.${one.rule}=${ruleText(one)}`)).join(" ");
}
function later() { if (!waiting) waiting = requestAnimationFrame(summary); }

const controls = [];
for (const part of document.querySelectorAll(".signal")) {
  const signal = state.signals[Number(part.dataset.index)];
  const range = part.querySelector("input[type=range]"), number = part.querySelector("input[type=number]");
  const direction = part.querySelector("select"), answer = part.querySelector(".answer");
  const one = signal.leaf === null ? null : leaves[signal.leaf];
  const place = (value) => 100 * (signal.log ? Math.log(value / signal.low) / Math.log(signal.high / signal.low) : (value - signal.low) / (signal.high - signal.low));
  const inside = (value) => Math.min(100, Math.max(0, place(value)));
  if (one) part.querySelector(".was").style.left = inside(signal.cuts[signal.at]) + "%";
  function draw() {
    const at = Number(range.value), cut = signal.cuts[at], op = direction ? direction.value : signal.op;
    const x = inside(cut), n = passing(signal, at, op);
    number.value = String(cut);
    part.querySelector(".cut").style.left = x + "%";
    const veil = part.querySelector(".veil");
    veil.style.left = op[0] === ">" ? 0 : x + "%"; veil.style.right = op[0] === ">" ? 100 - x + "%" : 0;
    const strong = document.createElement("b");
    strong.textContent = whole.format(n);
    answer.replaceChildren(strong, ` of ${whole.format(signal.known + signal.unknown)} readable samples have ${signal.signal} ${op} ${cut} (${percent(n, signal.known + signal.unknown)})`);
    range.setAttribute("aria-valuetext", `${op} ${cut}: ${whole.format(n)} samples`);
    part.dataset.count = n;
    if (one && one.now !== at) {
      one.now = at;
      // Two numbers of one rule cannot both move: go back with the other.
      for (const other of controls) if (other.one && other.one !== one && at !== one.at && other.one.tier === one.tier && other.one.rule === one.rule && other.one.now !== other.one.at) other.back();
      later();
    }
  }
  function back() { range.value = signal.at; draw(); later(); }
  range.value = signal.at;
  range.addEventListener("input", draw);
  if (direction) direction.addEventListener("change", draw);
  number.addEventListener("change", () => {
    const value = Number(number.value);
    let best = 0;
    for (let i = 1; i < signal.cuts.length; i++) if (Math.abs(signal.cuts[i] - value) < Math.abs(signal.cuts[best] - value)) best = i;
    range.value = best; draw();
  });
  part.querySelector(".back").addEventListener("click", back);
  controls.push({ one, back });
  draw();
}
if ($("reset")) {
  $("reset").addEventListener("click", () => { for (const control of controls) control.back(); });
  $("copy").addEventListener("click", async () => {
    try { await navigator.clipboard.writeText($("text").textContent); $("copy").textContent = "Copied"; }
    catch { getSelection().selectAllChildren($("text")); $("copy").textContent = "Selected"; }
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
  });
}
summary();

// the page

function theme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}
$("theme").addEventListener("click", theme);
$("print").addEventListener("click", () => print());
const sections = [...document.querySelectorAll("main section[id]")];
const links = new Map([...document.querySelectorAll(".side a")].map((a) => [a.hash.slice(1), a]));
function here() { return sections.reduce((best, one, i) => (one.getBoundingClientRect().top < 140 ? i : best), 0); }
function mark() { const at = sections[here()].id; for (const [id, a] of links) id === at ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current"); }
addEventListener("scroll", mark, { passive: true });
mark();
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ($("look").open) {
    if (event.key === "ArrowRight") leaf(1); else if (event.key === "ArrowLeft") leaf(-1);
    return;
  }
  if (event.target.matches("input, select, textarea")) return;
  const step = { j: 1, k: -1 }[event.key];
  if (step) { const next = sections[Math.min(sections.length - 1, Math.max(0, here() + step))]; next.scrollIntoView({ behavior: "instant" }); next.setAttribute("tabindex", "-1"); next.focus({ preventScroll: true }); }
  if (event.key === "t") theme();
});
