"use strict";
// Draws every chart from the page's data; again when the colours change.

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plotOf = (id) => document.querySelector(`#${id} .plot`);
  let placed = [];
  let chosenHeat = 0;

  const charts = {
    heat: (plot) => drawHeat(plot, data.heat, chosenHeat, data.seconds, (chosen) => {
      chosenHeat = chosen;
      draw();
      plot.querySelector("select")?.focus();
    }),
    percentiles: (plot) => drawPercentiles(plot, data.latency),
    lateness: (plot) => drawPercentiles(plot, data.generator, 280),
    readers: (plot) => drawReaders(plot),
    delivered: (plot) => overTime(plot, "rate", { value: perSecond }, true),
    throughput: (plot) => overTime(plot, "rate", { value: perSecond }, false),
    failures: (plot) => failures(plot),
    p99: (plot) => overTime(plot, "p99", { log: true, value: duration }),
    users: (plot) => gauges(plot, ["users", "in_flight"]),
    connected: (plot) => gauges(plot, ["readers"]),
  };

  function labelLines(field) {
    return data.over_time.labels.map((label, index) => (
      { name: label.name, deliveries: label.deliveries, values: label[field], colour: index }
    ));
  }

  /** Of deliveries, of operations, or of both. */
  function overTime(plot, field, options, deliveries) {
    const { at } = data.over_time;
    const wanted = (line) => deliveries === undefined || line.deliveries === deliveries;
    const lines = labelLines(field)
      .filter((line) => wanted(line) && line.values.some((value) => value !== null));
    if (at.length === 0 || lines.length === 0) return absent(plot, "Nothing was measured.");
    return drawLines(plot, at, lines, data.seconds, options);
  }

  function failures(plot) {
    const { at } = data.over_time;
    const failed = labelLines("failed").filter((line) => line.values.some((value) => value > 0));
    if (failed.length === 0) return absent(plot, "Nothing failed.");
    return drawLines(plot, at, failed, data.seconds, { value: perSecond });
  }

  function gauges(plot, names) {
    const { at } = data.gauges;
    const lines = names
      .map((name) => ({ name: name.replace("_", " "), values: data.gauges[name] }))
      .filter((line) => line.values.some((value) => value > 0));
    if (lines.length === 0) return absent(plot, "There were none.");
    return drawLines(plot, at, lines, data.seconds, { value: figure });
  }

  /** One chart per label of deliveries, below each other. */
  function drawReaders(plot) {
    if (data.readers.length === 0) return absent(plot, "Nothing was delivered.");
    plot.replaceChildren();
    return data.readers.map((reader) => {
      const own = element("div");
      if (data.readers.length > 1) plot.append(element("h4", reader.label));
      plot.append(own);
      return drawPercentiles(own, reader.curves, 280);
    });
  }

  function draw() {
    placed.forEach((chart) => chart.destroy());
    placed = [];
    for (const [id, make] of Object.entries(charts)) {
      const plot = plotOf(id);
      if (!plot) continue;
      plot.replaceChildren();
      placed.push(...[make(plot)].flat().filter(Boolean));
    }
  }

  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    draw();
  });
  dark.addEventListener("change", draw);

  // Paper is white, and a closed plan cannot be opened on it.
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    onPaper = true;
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
    draw();
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    onPaper = false;
    draw();
  });

  draw();
})();
