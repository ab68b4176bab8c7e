"use strict";
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  sessionStorage.setItem("theme", root.dataset.theme);
});
if (sessionStorage.getItem("theme")) document.documentElement.dataset.theme = sessionStorage.getItem("theme");

const told = document.getElementById("told");
async function mark(sample, value, label = "label") {
  const answer = await fetch("/label", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ sample_id: sample.dataset.id, label, value }) });
  const text = answer.ok ? `${label}: ${value || "taken back"}` : await answer.text();
  told.textContent = text;
  if (!answer.ok) { alert(text); return; }
  if (label === "label") {
    sample.dataset.said = value;
    for (const button of sample.querySelectorAll(".marks button")) button.setAttribute("aria-pressed", String(button.dataset.value === value));
  } else {
    const badge = document.createElement("span");
    badge.className = "badge"; badge.textContent = `${label}: ${value}`;
    sample.querySelector(".said").append(badge);
  }
}
if (document.body.dataset.label) {
  let over = null;
  for (const sample of document.querySelectorAll(".sample[data-id]")) {
    sample.addEventListener("mouseenter", () => { over = sample; });
    sample.addEventListener("focusin", () => { over = sample; });
    for (const button of sample.querySelectorAll(".marks button")) {
      button.addEventListener("click", () => mark(sample, button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.value));
    }
    const tag = sample.querySelector(".tag");
    if (tag) tag.addEventListener("change", () => { if (tag.value.trim()) { mark(sample, "yes", tag.value.trim()); tag.value = ""; } });
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const value = { g: "good", b: "bad", x: "" }[event.key];
    if (value !== undefined && over) mark(over, value);
  });
}
addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const link = event.key === "ArrowRight" ? document.querySelector("a[rel=next]") : event.key === "ArrowLeft" ? document.querySelector("a[rel=prev]") : null;
  if (link) link.click();
});
