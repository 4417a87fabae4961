"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const matrix = document.querySelector(".matrix");
  const topic = byId("topic"), host = byId("host"), all = byId("all");
  const namesIn = (part) => [...part.querySelectorAll(".name")].map((name) => name.textContent);
  const rows = [...matrix.querySelectorAll("tbody tr")].map((row) => {
    return { row, names: namesIn(row), state: row.dataset.state };
  });
  const findings = [...document.querySelectorAll("details.finding")].map((part) => {
    return { part, names: new Set(namesIn(part)), ...part.dataset };
  });
  const heads = [...matrix.querySelectorAll("thead th[data-topic]")];
  const total = rows.reduce((sum, { names }) => sum + names.length, 0);
  const rowOf = new Map(rows.flatMap((entry) => entry.names.map((name) => [name, entry])));
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  let state = "", shownTopic = "", one = null;

  // a card is headed by what was found on most hosts; of one host it is headed by what it has
  const headings = new Map();
  const name = (part) => {
    const own = one !== null && part.querySelector(".variant:not([hidden])");
    for (const [shown, its] of [[".found", ".its-found"], [".fix span", ".its-fix"]]) {
      const place = part.querySelector(shown);
      if (place === null) continue;
      if (!headings.has(place)) headings.set(place, place.textContent);
      place.textContent = (own && own.querySelector(its)?.textContent) || headings.get(place);
    }
    const like = part.querySelector(".like");
    if (like !== null) like.hidden = one !== null;
  };

  const filter = () => {
    const text = host.value.trim().toLowerCase();
    const named = (name) => one === null ? name.toLowerCase().includes(text) : name === one;
    let hosts = 0, shown = 0, counting = 0;
    for (const { row, names, state: its } of rows) {
      const fitting = state && its !== state ? 0 : names.filter(named).length;
      row.hidden = fitting === 0;
      hosts += fitting;
    }
    for (const { part, names, state: its, topic: about } of findings) {
      const fits = (!state || one !== null || its === state) && (!topic.value || about.split(" ").includes(topic.value)) &&
        [...names].some(named);
      part.hidden = !fits;
      if (part.closest("#findings")) { counting += 1; shown += fits; }
      for (const variant of part.querySelectorAll(".variant:has(.hosts)")) {
        variant.hidden = one !== null && !namesIn(variant).includes(one);
      }
      if (fits) name(part);
    }
    if (topic.value !== shownTopic) {
      shownTopic = topic.value;
      const hidden = heads.map((head) => shownTopic !== "" && head.dataset.topic !== shownTopic);
      heads.forEach((head, column) => { head.hidden = hidden[column]; });
      for (const { row } of rows) {
        hidden.forEach((isHidden, column) => { row.cells[column + 1].hidden = isHidden; });
      }
    }
    matrix.classList.toggle("everything", all.checked);
    byId("none").hidden = shown > 0 || counting === 0;
    byId("shown").textContent = one === null
      ? `${hosts} of ${plural(total, "host")}, ${shown} of ${plural(counting, "finding")}`
      : plural(shown, "finding");
  };

  // what every check says of one host, from its row
  const checksOf = ({ row }) => {
    const table = document.createElement("table");
    table.className = "plain";
    heads.forEach((head, column) => {
      const cell = row.cells[column + 1];
      const line = table.insertRow();
      line.className = cell.classList[0];
      line.insertCell().textContent = head.textContent.trim();
      const said = line.insertCell();
      said.className = "state";
      said.textContent = cell.textContent.trim();
    });
    return table;
  };

  const show = (name) => {
    one = name !== null && rowOf.has(name) ? name : null;
    const view = byId("one");
    view.hidden = one === null;
    byId("matrix").hidden = one !== null;
    for (const part of document.querySelectorAll(".fleet")) part.hidden = one !== null;
    byId("checks")?.remove();
    if (one !== null) {
      byId("one-name").textContent = `${one}: ${rowOf.get(one).state}`;
      const section = document.createElement("section");
      section.id = "checks";
      const heading = document.createElement("h2");
      heading.textContent = "Every check of this host";
      section.append(heading, checksOf(rowOf.get(one)));
      byId("matrix").after(section);
    }
    byId("chips").hidden = one !== null;
    filter();
    if (one !== null) { window.scrollTo(0, 0); view.focus({ preventScroll: true }); }
  };

  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash.startsWith("host=")) {
      let name = null;
      try { name = decodeURIComponent(hash.slice(5)); } catch { /* not ours */ }
      show(name);
      return;
    }
    if (one !== null) show(null);
    const target = byId(hash)?.closest("details.finding");
    if (target) {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
    }
  };
  const open = (name) => { location.hash = `host=${encodeURIComponent(name)}`; };

  // chips filter
  for (const chip of byId("chips").children) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = chip.className;
    button.setAttribute("aria-pressed", "false");
    button.append(...chip.childNodes);
    button.addEventListener("click", () => {
      state = state === chip.dataset.state ? "" : chip.dataset.state;
      for (const other of byId("chips").querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(other.parentNode.dataset.state === state));
      }
      filter();
    });
    chip.append(button);
  }
  byId("filters").hidden = false;
  byId("everything").hidden = false;
  document.body.classList.add("linked");

  // a name is a way to its host by mouse; by keyboard the host field is, which knows all names
  document.addEventListener("click", (event) => {
    const name = event.target.closest?.(".name");
    if (name === null || name === undefined) return;
    event.preventDefault();
    open(name.textContent);
  });
  matrix.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    const link = cell && heads[cell.cellIndex - 1].querySelector("a");
    if (link && !cell.matches(".p, .n")) link.click();
  });
  // arrow keys go from column to column: one tab stop for all
  const links = heads.map((head) => head.querySelector("a")).filter((link) => link);
  links.forEach((link, index) => { link.tabIndex = index === 0 ? 0 : -1; });
  matrix.querySelector("thead").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const seen = links.filter((link) => link.offsetParent !== null);
    const next = seen[seen.indexOf(document.activeElement) + step];
    if (!next) return;
    event.preventDefault();
    document.activeElement.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  const go = () => {
    const name = host.value.trim();
    if (!rowOf.has(name)) return;
    host.value = "";
    open(name);
  };
  host.addEventListener("change", go);
  byId("filters").addEventListener("input", (event) => {
    if (one !== null && event.target === host) {
      history.pushState(null, "", "#");
      show(null);
    } else filter();
  });
  all.addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => { event.preventDefault(); go(); });
  byId("back").addEventListener("click", () => {
    host.value = "";
    history.pushState(null, "", "#");
    show(null);
    host.focus();
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);

  // paper shows what the screen hides behind a click
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const part of closed) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
    closed = [];
  });
  filter();
  follow();
})();
