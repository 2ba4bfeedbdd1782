// The review page: shows one event, takes one key, saves, goes on.
// All state that matters is the server's: a judgement counts when its answer has come.
"use strict";

const LABELS = { g: "good", b: "bad", u: "unsure" };
const at = (id) => document.getElementById(id);

let state = null; // what api/state said
let here = 0; // place of the event shown
let shown = null; // charts and facts of it; null while they load
let wholeDay = false;
let busy = false; // a judgement is being saved
const charts = new Map(); // event id -> promise of its charts

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch("api/" + path, options);
  const value = await answer.json().catch(() => ({
    error: "The review server failed (" + answer.status + "); the command's window says why.",
  }));
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function chartsOf(event) {
  if (!charts.has(event.id)) {
    const asked = ask("event?id=" + encodeURIComponent(event.id));
    asked.catch(() => charts.delete(event.id));
    charts.set(event.id, asked);
  }
  return charts.get(event.id);
}

function problem(error) {
  at("problem").hidden = !error;
  if (!error) return;
  const lost = error instanceof TypeError; // fetch's way to say that nobody answered
  at("problem").textContent = lost
    ? "Not saved: the review server does not answer. Start `smallcaps review` again; " +
      "all that was saved before is there."
    : error.message;
}

// showing --------------------------------------------------------------------------------------

function span(text, kind) {
  const made = document.createElement("span");
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function bold(text) {
  const made = document.createElement("b");
  made.textContent = text;
  return made;
}

async function show(place) {
  const events = state.events;
  here = Math.min(Math.max(place, 0), events.length - 1);
  const event = events[here];
  shown = null;
  paintState();
  at("title").replaceChildren(
    event.symbol + "  ",
    span((event.direction === "up" ? "▲ " : "▼ ") + event.type + " " + event.direction,
      event.direction),
  );
  at("when").replaceChildren(
    bold(event.clock + " New York"), ", " + event.date + ", " + event.session +
    (event.bucket === event.session ? "" : ", " + event.bucket) + ". Known at the end of its minute.",
  );
  try {
    const found = await chartsOf(event);
    if (events[here].id !== found.id || state.events[here].id !== found.id) return;
    shown = found;
    paintCharts();
    const next = nextOpen(here);
    if (next !== null) chartsOf(state.events[next]).catch(() => {});
  } catch (error) {
    problem(error);
  }
}

function paintCharts() {
  // The drawings are the server's own, every text in them escaped.
  at("minutes").innerHTML = wholeDay ? shown.day : shown.near;
  at("tape").innerHTML = shown.tape || (wholeDay ? shown.near : shown.day);
  at("charts").classList.toggle("even", !shown.tape);
  at("daytext").textContent = wholeDay ? "45 minutes" : "whole day";
  at("facts").replaceChildren(...shown.facts.map(([name, value]) => {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const figure = document.createElement("dd");
    term.textContent = name;
    figure.textContent = value;
    pair.append(term, figure);
    return pair;
  }));
  at("readout").textContent = shown.tape ? "" : shown.no_tape;
  document.body.dataset.shown = shown.id;
}

function paintState() {
  const events = state.events;
  const event = events[here];
  const count = (label) => events.filter((one) => one.label === label).length;
  const counts = Object.values(LABELS).map((label) => [label, count(label)]);
  const done = counts.reduce((sum, [, n]) => sum + n, 0);
  at("done").textContent = done;
  at("all").textContent = events.length;
  at("split").textContent = done ? "(" + counts.map(([l, n]) => n + " " + l).join(", ") + ")" : "";
  paintMeter(counts, events.length);
  at("people").textContent = people();
  document.querySelectorAll(".key").forEach((button) =>
    button.classList.toggle("on", LABELS[button.dataset.key] === event.label));
  at("said").textContent = event.label || event.note
    ? "You said: " + [event.label, event.note && "“" + event.note + "”"].filter(Boolean).join(", ") +
      ". Saved."
    : "";
  paintStrip();
  at("finished").hidden = done < events.length;
  at("finishedtext").textContent =
    "Everything is saved. End the command with Ctrl-C: it writes the GO / NO-GO page anew.";
}

function people() {
  const others = Object.entries(state.others).map(([who, n]) => who + " " + n);
  const agreed = state.agreement;
  return "reviewer " + state.reviewer + ", profile " + state.profile +
    (others.length ? "; others: " + others.join(", ") : "") +
    (agreed && agreed.kappa !== null
      ? "; " + agreed.method + "'s kappa " + agreed.kappa.toFixed(2) + " on " + agreed.events
      : "");
}

function paintMeter(counts, total) {
  let x = 0;
  const parts = counts.map(([label, n]) => {
    const part = `<rect class="fill ${label}" x="${x}" width="${n}" height="1"/>`;
    x += n;
    return part;
  });
  at("meter").innerHTML =
    `<svg viewBox="0 0 ${total} 1" preserveAspectRatio="none">${parts.join("")}</svg>`;
}

function paintStrip() {
  const strip = at("strip");
  if (strip.children.length !== state.events.length) {
    strip.replaceChildren(...state.events.map((event, place) => {
      const button = document.createElement("button");
      button.tabIndex = -1;
      button.addEventListener("click", () => show(place));
      return button;
    }));
  }
  state.events.forEach((event, place) => {
    const button = strip.children[place];
    button.className = (event.label || "") + (place === here ? " here" : "");
    button.title = button.ariaLabel =
      `${place + 1}. ${event.symbol} ${event.type} ${event.direction}: ${event.label || "open"}`;
  });
}

// the bar under the pointer --------------------------------------------------------------------

const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));

function readout(pointer) {
  const drawing = at("minutes").querySelector("svg");
  if (!drawing || !shown) return;
  const place = drawing.createSVGPoint();
  place.x = pointer.clientX;
  place.y = pointer.clientY;
  const x = place.matrixTransform(drawing.getScreenCTM().inverse()).x;
  const { first, step, left, top, bottom } = drawing.dataset;
  const minute = Number(first) + Math.floor((x - Number(left)) / Number(step));
  const bar = shown.bars.find((one) => one[0] === minute);
  let cross = drawing.querySelector(".cross");
  if (!cross) {
    cross = document.createElementNS("http://www.w3.org/2000/svg", "path");
    cross.setAttribute("class", "cross");
    drawing.append(cross);
  }
  const middle = Number(left) + (minute - Number(first) + 0.5) * Number(step);
  cross.setAttribute("d", bar ? `M${middle} ${top}V${bottom}` : "");
  if (!bar) {
    at("readout").textContent = "no trade in this minute";
    return;
  }
  const [, open, high, low, close, volume, vwap, spike] = bar;
  const digits = close < 1 ? 4 : 2;
  const two = (n) => String(n).padStart(2, "0");
  at("readout").replaceChildren(
    bold(two(Math.floor(minute / 60)) + ":" + two(minute % 60)),
    `  open ${fixed(open, digits)}  high ${fixed(high, digits)}  low ${fixed(low, digits)}  close `,
    bold(fixed(close, digits)),
    `  volume ${Math.round(volume).toLocaleString("en-US")}  VWAP ${fixed(vwap, digits + 1)}` +
    `  spike ${fixed(spike, 1)}x`,
  );
}

// judging --------------------------------------------------------------------------------------

function nextOpen(from) {
  const n = state.events.length;
  for (let step = 1; step <= n; step += 1) {
    const place = (from + step) % n;
    if (!state.events[place].label) return place;
  }
  return null;
}

async function save(work) {
  if (busy) return null;
  busy = true;
  try {
    const answer = await work();
    state = answer;
    problem(null);
    return answer;
  } catch (error) {
    problem(error);
    return null;
  } finally {
    busy = false;
  }
}

async function judge(label) {
  if (!shown) return; // nobody judges a chart that is not there yet
  const event = state.events[here];
  const saved = await save(() =>
    ask("judge", { event_id: event.id, label, note: event.note }));
  if (!saved) return;
  const next = nextOpen(here);
  if (next === null) paintState();
  else await show(next);
}

async function undo() {
  const saved = await save(() => ask("undo", {}));
  if (!saved) return;
  const place = state.events.findIndex((event) => event.id === saved.undone);
  await show(place < 0 ? here : place);
  if (!saved.undone) at("said").textContent = "Nothing is left to undo.";
}

function openNote() {
  at("noteform").hidden = false;
  at("note").value = state.events[here].note;
  at("note").focus();
}

function closeNote() {
  at("noteform").hidden = true;
  at("note").blur();
}

async function saveNote() {
  const event = state.events[here];
  const note = at("note").value.trim();
  closeNote();
  if (note === event.note) return;
  if (await save(() => ask("judge", { event_id: event.id, label: event.label, note }))) paintState();
}

function toggleDay() {
  wholeDay = !wholeDay;
  if (shown) paintCharts();
}

function press(key) {
  if (key in LABELS) return judge(LABELS[key]);
  if (key === "z") return undo();
  if (key === "n") return openNote();
  if (key === "d") return toggleDay();
  if (key === "ArrowLeft") return show(here - 1);
  if (key === "ArrowRight") return show(here + 1);
  return undefined;
}

// the page -------------------------------------------------------------------------------------

function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.target === at("note")) {
      if (event.key === "Escape") closeNote();
      return;
    }
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || !state) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in LABELS || "znd".includes(key) || key.startsWith("Arrow")) {
      event.preventDefault();
      press(key);
    }
  });
  document.querySelectorAll(".key").forEach((button) =>
    button.addEventListener("click", () => { button.blur(); press(button.dataset.key); }));
  at("noteform").addEventListener("submit", (event) => { event.preventDefault(); saveNote(); });
  at("minutes").addEventListener("mousemove", readout);
  at("minutes").addEventListener("mouseleave", () => {
    at("readout").textContent = "";
    const cross = at("minutes").querySelector(".cross");
    if (cross) cross.remove();
  });
}

async function start() {
  listen();
  try {
    state = await ask("state");
  } catch (error) {
    problem(error);
    return;
  }
  at("banner").hidden = !state.banner;
  at("banner").textContent = state.banner;
  document.title = "Review, " + state.profile;
  if (!state.events.length) {
    at("title").textContent = "The manifest of this profile is empty: there is nothing to judge.";
    return;
  }
  const open = state.events.findIndex((event) => !event.label);
  await show(open < 0 ? 0 : open);
}

start();
