"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const matrix = document.querySelector(".matrix");
  const rows = [...matrix.querySelectorAll("tbody tr")];
  const names = rows.map((row) => row.querySelector(".host").textContent.toLowerCase());
  const heads = [...matrix.querySelectorAll("thead th[data-topic]")];
  const host = byId("host"), state = byId("state"), topic = byId("topic"), all = byId("all");
  let shownTopic = "";

  const filter = () => {
    const text = host.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = names[index].includes(text) && (!state.value || row.dataset.state === state.value);
      row.hidden = !fits;
      shown += fits;
    });
    if (topic.value !== shownTopic) {
      shownTopic = topic.value;
      const hidden = heads.map((head) => shownTopic !== "" && head.dataset.topic !== shownTopic);
      heads.forEach((head, column) => { head.hidden = hidden[column]; });
      rows.forEach((row) => {
        if (row.cells.length !== heads.length + 1) return;
        hidden.forEach((isHidden, column) => { row.cells[column + 1].hidden = isHidden; });
      });
    }
    matrix.classList.toggle("everything", all.checked);
    byId("shown").textContent = `${shown} of ${rows.length} host${rows.length === 1 ? "" : "s"}`;
  };

  byId("filters").addEventListener("input", filter);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
