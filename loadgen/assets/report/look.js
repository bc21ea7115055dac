"use strict";
// Colours, numbers and the parts that all charts share. No chart knows where its data is from.

const PALETTE = 10;

/** A colour of the style sheet as the canvas wants it: resolved for light or dark. */
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}

function seriesColour(index) {
  return colour("c" + (index % PALETTE));
}

/** Past the palette's end and for readers who do not see colours apart. */
function seriesDash(index) {
  return [[], [7, 4], [2, 3], [9, 3, 2, 3]][Math.floor(index / 3) % 4];
}

/** Three significant digits, thousands grouped. */
function figure(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 100) return Math.round(value).toLocaleString("en-US");
  return Number(value.toPrecision(3)).toString();
}

/** Milliseconds in the unit that fits. */
function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 0.001) return figure(ms * 1e6) + " ns";
  if (ms < 1) return figure(ms * 1e3) + " µs";
  if (ms < 1000) return figure(ms) + " ms";
  return figure(ms / 1e3) + " s";
}

/** Seconds since the begin as h:mm:ss or m:ss. */
function clock(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const head = hours > 0 ? `${hours}:${two(minutes)}` : String(minutes);
  return `${head}:${two(whole % 60)}`;
}

function perSecond(value) {
  return value === null || value === undefined ? "" : figure(value) + "/s";
}

/** For an axis: 12k, 3.5M. */
function short(value) {
  if (value >= 1e9) return figure(value / 1e9) + "G";
  if (value >= 1e6) return figure(value / 1e6) + "M";
  if (value >= 1e4) return figure(value / 1e3) + "k";
  return figure(value);
}

function axis(extra) {
  return {
    stroke: colour("soft"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { stroke: colour("line"), width: 1, size: 5 },
    ...extra,
  };
}

function timeAxis() {
  return axis({
    size: 32,
    incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400],
    values: (_, splits) => splits.map(clock),
    space: 60,
  });
}

/** Rounded outward to 1, 2 or 5 times a power of ten, so that the ends have a label. */
function logRange(_, low, high) {
  if (low === null || high === null) return [1, 10];
  const outward = (value, up) => {
    const power = 10 ** Math.floor(Math.log10(value) + (up ? -1e-9 : 1e-9));
    const steps = up ? [1, 2, 5, 10] : [5, 2, 1];
    const slack = up ? 1 - 1e-9 : 1 + 1e-9;
    const fits = (step) => (up ? step * power >= value * slack : step * power <= value * slack);
    return (steps.find(fits) || 1) * power;
  };
  const bottom = outward(low, false);
  let top = outward(high, true);
  if (top / bottom < 2) top = bottom * 10;
  return [bottom, top];
}

/** Times on a logarithmic scale: lines at powers of ten, between them where there is room. */
function latencyAxis() {
  return axis({
    size: 64,
    filter: (u, splits) => {
      const { min, max } = u.scales.y;
      const steps = Math.log10(max / min) <= 2.3 ? [1, 2, 5] : [1];
      return splits.map((value) => {
        const mantissa = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
        return steps.some((step) => Math.abs(step - mantissa) < 1e-6) ? value : null;
      });
    },
    values: (_, splits) => splits.map(duration),
  });
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** Says why there is no chart. */
function absent(plot, text) {
  plot.replaceChildren(element("p", text, "absent"));
}

/** Whether charts are drawn for paper, whose width no element has yet. */
let onPaper = false;

function widthOf(plot) {
  if (onPaper) return plot.closest(".columns") ? 470 : 960;
  return Math.max(280, Math.floor(plot.clientWidth));
}

/** Puts a chart into its place and keeps it as wide as that. */
function place(plot, height, options, data) {
  const width = () => widthOf(plot);
  const chart = new uPlot({ width: width(), height, ...options }, data, plot);
  const observer = new ResizeObserver(() => {
    if (width() !== chart.width) chart.setSize({ width: width(), height });
  });
  observer.observe(plot);
  return {
    chart,
    destroy() {
      observer.disconnect();
      chart.destroy();
    },
  };
}
