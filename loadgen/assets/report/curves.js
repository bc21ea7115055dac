"use strict";
// Lines: over time, and percentile curves.

/** Lines over time. `lines`: {name, values}. */
function drawLines(plot, at, lines, seconds, options) {
  const series = lines.map((line, index) => ({
    label: line.name,
    stroke: seriesColour(line.colour ?? index),
    dash: seriesDash(line.colour ?? index),
    width: 1.75,
    points: { show: at.length < 3, size: 5 },
    value: (_, value) => options.value(value),
  }));
  return place(plot, 240, {
    cursor: { sync: { key: "time" }, drag: { x: true, y: false }, points: { size: 6 } },
    scales: {
      x: { time: false, range: (_, low, high) => (high > low ? [low, high] : [0, seconds || 1]) },
      y: options.log ? { distr: 3, log: 10, range: logRange } : { range: fromZero },
    },
    axes: [
      timeAxis(),
      options.log
        ? latencyAxis()
        : axis({ size: 56, values: (_, splits) => splits.map(short) }),
    ],
    series: [{ label: "at", value: (_, value) => clock(value) }, ...series],
  }, [at, ...lines.map((line) => line.values)]);
}

function fromZero(_, _low, high) {
  return [0, high > 0 ? high * 1.08 : 1];
}

/** Percentile curves over 1 / (1 - quantile). */
function drawPercentiles(plot, data, height = 320) {
  if (data.curves.length === 0) return absent(plot, "Nothing was measured.");
  const series = data.curves.map((curve, index) => ({
    label: curve.name,
    stroke: seriesColour(index),
    dash: seriesDash(index),
    width: 2,
    points: { show: false },
    value: (_, value) => duration(value),
  }));
  return place(plot, height, {
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: false, distr: 3, log: 10, range: () => [1, data.x[data.x.length - 1]] },
      y: { distr: 3, log: 10, range: logRange },
    },
    axes: [
      axis({
        splits: () => rarities(data.x[data.x.length - 1]),
        filter: (_, splits) => splits,
        values: (_, splits) => splits.map(percentile),
        size: 32,
      }),
      latencyAxis(),
    ],
    series: [{ label: "percentile", value: (_, value) => percentile(value) }, ...series],
  }, [data.x, ...data.curves.map((curve) => curve.y)]);
}

/** 0, 50, 90, 99, 99.9 … up to the rarest. */
function rarities(most) {
  const splits = [1, 2];
  for (let rarity = 10; rarity <= most; rarity *= 10) splits.push(rarity);
  return splits;
}

/** 1 / (1 - quantile) as a percentile. */
function percentile(rarity) {
  if (rarity === null || rarity === undefined) return "";
  const digits = Math.max(0, Math.ceil(Math.log10(rarity) - 1e-9) - 2);
  return (100 * (1 - 1 / rarity)).toFixed(digits) + " %";
}
