"use strict";
// The heat map: cells under a line chart, drawn through the library's hooks.

/** `maps`: one per label, the first is shown. */
function drawHeat(plot, maps, chosen, seconds, onChoice) {
  if (maps.length === 0) return absent(plot, "Nothing was measured.");
  const map = maps[chosen];
  const controls = heatControls(maps, chosen, onChoice);
  const cell = element("p", HINT, "cell");
  const middle = map.cells.map((_, column) => Math.min((column + 0.5) * map.seconds, seconds));
  const line = (label, dash, width = 2) => ({
    label,
    stroke: colour("over-" + label),
    width,
    dash,
    points: { show: map.columns < 3, size: 5 },
    value: (_, value) => duration(value),
  });
  plot.replaceChildren(controls);
  const placed = place(plot, 360, {
    cursor: { sync: { key: "time" }, drag: { x: false, y: false }, points: { size: 5 } },
    scales: {
      x: { time: false, range: () => [0, seconds || 1] },
      y: { distr: 3, log: 10, range: () => logRange(null, edge(map, 0), edge(map, map.rows)) },
    },
    axes: [timeAxis(), latencyAxis()],
    series: [
      { label: "at", value: (_, value) => clock(value) },
      line("p50", []),
      line("p99", [7, 4]),
      line("max", [2, 3], 1.5),
    ],
    hooks: {
      drawAxes: [(u) => paintCells(u, map, seconds)],
      setCursor: [(u) => { cell.textContent = describe(u, map); }],
    },
  }, [middle, map.p50, map.p99, map.max]);
  plot.append(cell);
  return placed;
}

const HINT = "Point at a cell to read it.";

/** The lower edge of a row, in milliseconds. */
function edge(map, row) {
  return 10 ** ((map.lowest + row) / map.per_decade - 6);
}

function paintCells(u, map, seconds) {
  const { ctx } = u;
  const ramp = heatRamp();
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  map.cells.forEach((cells, column) => {
    const from = u.valToPos(column * map.seconds, "x", true);
    const to = u.valToPos(Math.min((column + 1) * map.seconds, seconds), "x", true);
    for (let at = 0; at < cells.length; at += 2) {
      const bottom = u.valToPos(edge(map, cells[at]), "y", true);
      const above = u.valToPos(edge(map, cells[at] + 1), "y", true);
      ctx.fillStyle = ramp(share(cells[at + 1], map.most));
      // Whole pixels, or the seams between cells would shine through.
      const [x, y] = [Math.floor(from), Math.floor(above)];
      ctx.fillRect(x, y, Math.ceil(to) - x, Math.ceil(bottom) - y);
    }
  });
  ctx.restore();
}

/** A count between 0 and 1 on a logarithmic scale. */
function share(count, most) {
  return most > 1 ? Math.log(count) / Math.log(most) : 1;
}

/** Between three colours of the style sheet. */
function heatRamp() {
  const stops = [0, 1, 2].map((index) => colour("heat-" + index).match(/[\d.]+/g).map(Number));
  return (part) => {
    const place = Math.min(Math.max(part, 0), 1) * 2;
    const from = Math.min(Math.floor(place), 1);
    const mixed = [0, 1, 2].map((channel) => {
      const [low, high] = [stops[from][channel], stops[from + 1][channel]];
      return Math.round(low + (high - low) * (place - from));
    });
    return `rgb(${mixed.join(" ")})`;
  };
}

function describe(u, map) {
  const { left, top } = u.cursor;
  if (left === undefined || left < 0 || top < 0) return HINT;
  const column = Math.floor(u.posToVal(left, "x") / map.seconds);
  const ns = u.posToVal(top, "y") * 1e6;
  const row = Math.floor(Math.log10(ns) * map.per_decade) - map.lowest;
  const cells = map.cells[column] || [];
  let count = 0;
  for (let at = 0; at < cells.length; at += 2) if (cells[at] === row) count = cells[at + 1];
  const span = `${clock(column * map.seconds)} to ${clock((column + 1) * map.seconds)}`;
  return `${span}, ${duration(edge(map, row))} to ${duration(edge(map, row + 1))}: ` +
    count.toLocaleString("en-US");
}

/** Which label, and what the colours mean. */
function heatControls(maps, chosen, onChoice) {
  const controls = element("div", "", "controls");
  if (maps.length > 1) {
    const choice = element("label", "Label ");
    const select = document.createElement("select");
    maps.forEach((map, index) => select.add(new Option(map.label, String(index))));
    select.value = String(chosen);
    select.addEventListener("change", () => onChoice(Number(select.value)));
    choice.append(select);
    controls.append(choice);
  } else {
    controls.append(element("span", maps[chosen].label));
  }
  const scale = element("span", "", "scale");
  const gradient = document.createElement("canvas");
  gradient.width = 120;
  gradient.height = 1;
  const ramp = heatRamp();
  const ctx = gradient.getContext("2d");
  for (let x = 0; x < gradient.width; x++) {
    ctx.fillStyle = ramp(x / (gradient.width - 1));
    ctx.fillRect(x, 0, 1, 1);
  }
  gradient.setAttribute("aria-hidden", "true");
  const most = maps[chosen].most.toLocaleString("en-US");
  scale.append(element("span", "1"), gradient, element("span", `${most} in a cell`));
  controls.append(scale);
  return controls;
}
