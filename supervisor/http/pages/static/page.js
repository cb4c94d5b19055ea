// Keeps the status page up to date: it makes the same elements as pages/html.py, and no others. Text goes in as text only.
"use strict";

const MARKS = { "needs-you": "▲", "on-its-way": "◐", up: "●", aside: "○" };
const RANK = { "needs-you": 0, "on-its-way": 1, up: 2, aside: 3 };
const SHOWN = 60; // records
const GROUPS = 12; // causes
const SETTLE = 2000; // ms from a change until units are sorted again: a unit that is up again by then does not move
const $ = (selector, within = document) => within.querySelector(selector);

let state = null; // as the supervisor sent it, with the changes since
let skew = 0; // ms that its clock is ahead of ours
let sorting = 0;
const openUnits = new Map(); // name -> its row of details

// Characters that could reverse text or break lines are shown as "?".
const clean = (value) => String(value ?? "").replace(/[\n\t]/g, " ").replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?");

function make(tag, text = "", more = {}) {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = clean(text);
  for (const [key, value] of Object.entries(more)) element.setAttribute(key, value);
  return element;
}

function put(element, text) {
  const wanted = clean(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

// Time.

const now = () => Date.now() + skew;

function ago(stamp) {
  const seconds = Math.max(0, Math.floor((now() - Date.parse(stamp)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function clock(stamp) {
  const at = new Date(stamp);
  const two = (number) => String(number).padStart(2, "0");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  if (at.toDateString() === new Date(now()).toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

const shownTime = (element) => (element.className === "ago" ? ago : clock)(element.dateTime);

function time(stamp, kind = "clock") {
  if (!stamp) return document.createTextNode("-");
  const element = make("time", "", { class: kind, datetime: stamp, title: new Date(stamp).toString() });
  element.textContent = shownTime(element);
  return element;
}

function tick(within = document) {
  for (const element of within.querySelectorAll("time")) put(element, shownTime(element));
}

// The head.

function showHead() {
  const head = state.headline;
  document.body.dataset.level = head.level;
  put($("#headline .mark"), MARKS[head.level]);
  put($("#headline .text"), head.text);
  document.title = `${clean(head.text)} - dockwarden`;
  const because = [];
  if (head.since) because.push("since ", time(head.since), head.reason ? ": " : "");
  $("#because").replaceChildren(...because, clean(head.reason));
}

function showLive(how, text) {
  $("#live").dataset.live = how;
  $("#live").replaceChildren(...text);
}

// Units.

function health(unit) {
  if (unit.health === "none") return "-";
  const checks = Object.values(unit.checks);
  const good = checks.filter((one) => one === "healthy").length;
  return unit.health + (unit.flapping ? ", flapping" : "") + (checks.length > 1 ? `, ${good} of ${checks.length}` : "");
}

const rowOf = (name) => [...document.querySelectorAll("tr.unit")].find((row) => row.dataset.unit === name);

function newRow(unit) {
  const row = make("tr", "", { class: "unit", "data-unit": unit.name });
  const head = make("th", "", { scope: "row" });
  const link = make("a", "", { href: `/?unit=${encodeURIComponent(unit.name)}`, "aria-expanded": "false" });
  link.append(make("bdi", unit.name));
  head.append(link);
  const cells = ["state", "health", "restarts", "since", "reason"].map((kind) => make("td", "", { class: kind }));
  cells[0].append(make("span", "", { class: "mark", "aria-hidden": "true" }), " ", make("span", "", { class: "text" }));
  cells[4].append(make("bdi"));
  row.append(head, ...cells);
  return row;
}

function showUnit(unit, flash) {
  let row = rowOf(unit.name);
  if (!row) {
    row = newRow(unit);
    $("#units tbody").append(row);
  }
  row.dataset.level = unit.level;
  const moved = $(".state .text", row).textContent !== clean(unit.state);
  put($(".state .mark", row), MARKS[unit.level]);
  put($(".state .text", row), unit.state);
  put($(".health", row), health(unit));
  $(".health", row).toggleAttribute("data-none", unit.health === "none");
  put($(".restarts", row), unit.restarts);
  $(".restarts", row).toggleAttribute("data-none", !unit.restarts);
  const since = $(".since time", row);
  if (!since || since.dateTime !== unit.since) $(".since", row).replaceChildren(time(unit.since, "ago"));
  put($(".reason bdi", row), unit.touched ? unit.reason : `not managed (no label); ${unit.reason}`);
  if (flash && moved) {
    row.classList.remove("new");
    void row.offsetWidth; // restarts the animation
    row.classList.add("new");
  }
  showNode(unit);
}

function dropUnit(name) {
  close(name);
  rowOf(name)?.remove();
}

function sort() {
  clearTimeout(sorting);
  sorting = 0;
  const body = $("#units tbody");
  const wanted = [...state.units.values()].sort((a, b) => RANK[a.level] - RANK[b.level] || (a.name < b.name ? -1 : 1));
  let before = null;
  for (const unit of wanted.reverse()) {
    const more = openUnits.get(unit.name);
    const row = rowOf(unit.name);
    for (const one of more ? [more, row] : [row]) {
      // A row in its right place is not touched: focus and selection stay.
      if (one.nextElementSibling !== before) body.insertBefore(one, before);
      before = one;
    }
  }
}

function sortSoon() {
  sorting ||= setTimeout(sort, SETTLE);
}

// The details of a unit.

function happened(record) {
  let what = record.event;
  if (what === "unit.transition") what = `${record.before ?? ""} → ${record.after ?? ""}`;
  else if (what === "unit.fact") what = record.happened ?? what;
  else if (what === "unit.decision") what = `decided: ${record.outcome ?? ""}`;
  return [make("b", what), make("bdi", record.reason ? `: ${record.reason}` : "")];
}

function ground(record) {
  if (record.event !== "unit.decision") return record.happened ?? "";
  const inputs = Object.entries(record.inputs ?? {}).map(([name, value]) => `${name}=${value}`);
  return inputs.length ? `${record.rule ?? ""}: ${inputs.join(", ")}` : record.rule ?? "";
}

function details(said) {
  const { unit } = said;
  const facts = [["means", said.meaning], ["next", said.next]];
  if (said.next_try) facts.push(["next try", clock(said.next_try)]);
  if (unit.exit_code !== null) facts.push(["last exit code", unit.exit_code]);
  if (unit.container_id) facts.push(["container", unit.container_id]);
  if (said.needs.length) facts.push(["needs", said.needs.map((one) => `${one.name} (${one.via})`).join(", ")]);
  if (said.needed_by.length) facts.push(["needed by", said.needed_by.join(", ")]);
  for (const one of said.checks) {
    facts.push([`check ${one.check}`, one.output ? `${one.outcome}: ${one.output}` : one.outcome]);
  }
  const listed = make("dl");
  for (const [term, text] of facts) listed.append(make("dt", term), make("dd", text));
  const chain = make("ol");
  for (const record of [...said.chain].reverse()) {
    const item = make("li");
    const what = make("span");
    if (record.unit && record.unit !== unit.name) what.append(make("bdi", record.unit), " ");
    what.append(...happened(record));
    item.append(time(record.time), " ", what, " ", make("small", ground(record)));
    chain.append(item);
  }
  const box = make("div", "", { class: "details" });
  const told = said.chain.length ? chain : make("p", "No events since the supervisor started.");
  box.append(listed, make("h3", "What happened"), told);
  return box;
}

async function fill(name) {
  const more = openUnits.get(name);
  if (!more) return;
  const cell = $("td", more);
  try {
    const answer = await fetch(`/units/${encodeURIComponent(name)}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const fresh = details(await answer.json());
    const scrolled = $("ol", cell)?.scrollTop ?? 0;
    cell.replaceChildren(fresh);
    if ($("ol", cell)) $("ol", cell).scrollTop = scrolled;
  } catch {
    if (!cell.firstChild) cell.replaceChildren(make("p", "The supervisor does not answer."));
  }
}

function open(name) {
  const row = rowOf(name);
  if (!row || openUnits.has(name)) return;
  const more = make("tr", "", { class: "more" });
  more.append(make("td", "", { colspan: "6" }));
  openUnits.set(name, more);
  row.after(more);
  $("a", row).setAttribute("aria-expanded", "true");
  $("a", row).href = "/";
  fill(name);
}

function close(name) {
  openUnits.get(name)?.remove();
  openUnits.delete(name);
  const link = rowOf(name)?.querySelector("a");
  if (!link) return;
  link.setAttribute("aria-expanded", "false");
  link.href = `/?unit=${encodeURIComponent(name)}`;
}

function toggle(name) {
  if (openUnits.has(name)) close(name);
  else open(name);
  const last = [...openUnits.keys()].pop();
  history.replaceState(null, "", last === undefined ? "/" : `/?unit=${encodeURIComponent(last)}`);
}

// The graph.

const nodeOf = (name) => [...document.querySelectorAll("#graph .node")].find((node) => node.dataset.unit === name);

function showNode(unit) {
  const node = nodeOf(unit.name);
  if (!node) return;
  const quiet = unit.health === "none" || unit.health === "healthy";
  const said = quiet ? unit.state : `${unit.state}, ${unit.health}`;
  node.setAttribute("class", `node ${unit.level}`);
  put($(".mark", node), MARKS[unit.level]);
  put($(".state", node), said);
  put($("title", node), `${unit.name}: ${said} (${unit.kind})`);
}

async function drawGraph() {
  const answer = await fetch("/graph.svg?page");
  if (!answer.ok) return;
  const drawn = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  if (drawn.nodeName !== "svg") return;
  const scroll = $("#graph .scroll");
  const left = scroll.scrollLeft;
  scroll.replaceChildren(document.importNode(drawn, true));
  scroll.scrollLeft = left;
  for (const unit of state.units.values()) showNode(unit);
}

// The host, and recent events.

function facts() {
  const { engine, supervisor, console: place, storage, user_docker: docker, switch: change } = state;
  const said = [];
  said.push(["engine", `${engine.up ? "up" : "down"}${engine.version ? ` ${engine.version}` : ""}, ${engine.mode}: ${engine.reason}`]);
  if (engine.daemon) said.push(["its process", engine.daemon]);
  if (place) {
    const later = place.enabled === place.current ? "" : `; ${place.enabled} at the next boot`;
    const others = place.consoles.map((one) => one.name).filter((name) => name !== place.current);
    said.push(["console", `${place.current ?? "none"}${later}${others.length ? ` (also: ${others.join(", ")})` : ""}`]);
  }
  if (storage) {
    const later = storage.enabled === storage.current ? "" : `; ${storage.enabled} at the next boot`;
    said.push(["storage", `${storage.current}${later}`]);
  }
  if (docker) {
    const trouble = docker.trouble ? `: ${docker.trouble}` : "";
    said.push(["user Docker", `${docker.state}, ${docker.version ?? "version unknown"}, in ${docker.context}${trouble}`]);
  }
  said.push(["switch", switched(change)]);
  const read = supervisor.configuration ?? "in-force";
  if (read !== "in-force") said.push(["configuration", read.replaceAll("-", " ")]);
  for (const trouble of supervisor.troubles ?? []) said.push(["trouble", trouble.reason]);
  const going = supervisor.draining ? ", going down" : "";
  said.push(["supervisor", `${supervisor.version}, pid ${supervisor.pid}, since ${clock(supervisor.started)}${going}`]);
  return said;
}

function switched({ now: going, last }) {
  if (going) {
    const why = going.why ? ` (${going.why})` : "";
    return `${going.of}: ${going.origin || "own"} to ${going.target || "own"}, ${going.step}${why}`;
  }
  if (!last) return "none since the supervisor started";
  const seconds = last.steps.reduce((sum, step) => sum + step.seconds, 0).toFixed(1);
  return `last: ${last.of}: ${last.origin || "own"} to ${last.target || "own"}, ${last.result} in ${seconds} s${last.why ? `: ${last.why}` : ""}`;
}

function showHost() {
  const list = $("#host dl");
  const said = facts().flatMap(([term, text]) => [["dt", term], ["dd", text]]);
  if (list.children.length !== said.length) list.replaceChildren(...said.map(([tag]) => make(tag)));
  said.forEach(([, text], number) => put(list.children[number], text));
}

function showLately() {
  const groups = new Map();
  for (const record of state.records) {
    const cause = record.cause || `-${record.seq}`;
    if (!groups.has(cause)) groups.set(cause, []);
    groups.get(cause).push(record);
  }
  const newest = [...groups.values()].sort((a, b) => b.at(-1).seq - a.at(-1).seq).slice(0, GROUPS);
  const items = newest.map((group) => {
    const [first] = group;
    const inner = make("ul");
    for (const record of group) {
      const item = make("li");
      item.append(make("bdi", record.unit || "host", { class: "unit-name" }), " ", ...happened(record));
      inner.append(item);
    }
    const outer = make("li");
    outer.append(time(first.time), " ", make("b", first.happened || first.event, { class: "fact" }), " ");
    outer.append(make("small", first.cause ?? ""), inner);
    return outer;
  });
  $("#lately ol").replaceChildren(...items);
  $("#lately .none").hidden = items.length > 0;
}

// What the supervisor sends.

function take(said) {
  skew = Date.parse(said.now) - Date.now();
  state = { ...said, units: new Map(said.units.map((unit) => [unit.name, unit])) };
  for (const row of document.querySelectorAll("tr.unit")) {
    if (!state.units.has(row.dataset.unit)) dropUnit(row.dataset.unit);
  }
  for (const unit of said.units) showUnit(unit, false);
  sort();
  showHead();
  showHost();
  showLately();
  $("#units .none").hidden = state.units.size > 0;
  for (const name of openUnits.keys()) fill(name);
  drawGraph();
  tick();
}

function change(said) {
  skew = Date.parse(said.now) - Date.now();
  const { units = [], gone = [], records = [], graph, now: _now, ...parts } = said;
  Object.assign(state, parts);
  for (const unit of units) {
    state.units.set(unit.name, unit);
    showUnit(unit, true);
  }
  for (const name of gone) {
    state.units.delete(name);
    dropUnit(name);
  }
  if (units.length || gone.length) {
    sortSoon();
    $("#units .none").hidden = state.units.size > 0;
  }
  if (records.length) {
    const last = state.records.at(-1)?.seq ?? 0;
    state.records = [...state.records, ...records.filter((record) => record.seq > last)].slice(-SHOWN);
    showLately();
  }
  if (parts.headline) showHead();
  showHost();
  if (graph) drawGraph();
  const about = new Set([...units.map((unit) => unit.name), ...records.map((record) => record.unit)]);
  for (const name of openUnits.keys()) if (about.has(name)) fill(name);
}

let source = null;

function follow() {
  source = new EventSource("/live");
  source.addEventListener("state", (event) => {
    take(JSON.parse(event.data));
    showLive("yes", ["Live: updated as things change."]);
  });
  source.addEventListener("change", (event) => state && change(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if ($("#live").dataset.live !== "lost") {
      showLive("lost", ["Not live: the supervisor does not answer. Last update at ", time(new Date(now()).toISOString()), "."]);
    }
    if (source?.readyState === EventSource.CLOSED) setTimeout(follow, 5000); // refused; a lost one comes back by itself
  });
}

// The browser may keep a page for its back button: it must not go on reading.
window.addEventListener("pagehide", () => {
  source?.close();
  source = null;
});
window.addEventListener("pageshow", () => source ?? follow());

document.addEventListener("click", (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("tr.unit th a");
  const node = event.target.closest(".node");
  if (link) {
    event.preventDefault();
    toggle(link.closest("tr").dataset.unit);
  } else if (node) {
    const name = node.dataset.unit;
    if (!openUnits.has(name)) toggle(name);
    rowOf(name)?.querySelector("a").focus();
    rowOf(name)?.scrollIntoView({ block: "center" });
  }
});
document.addEventListener("keydown", (event) => {
  const link = event.target.closest?.("tr.unit th a");
  if (link && event.key === " ") {
    event.preventDefault();
    link.click();
  }
  if (link && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const links = [...document.querySelectorAll("tr.unit th a")];
    const next = links[links.indexOf(link) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
});

// Details that the server opened stay open.
for (const more of document.querySelectorAll("tr.more")) openUnits.set(more.previousElementSibling.dataset.unit, more);
tick();
setInterval(tick, 1000);
