// Draws the figures of the page Trends with uPlot; the page has them as a table, too.
"use strict";

const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const number = new Intl.NumberFormat(locale);

let words = {};
const DAY_S = 86400;
const FONT = "12px system-ui, sans-serif";
const LABEL_PX = 28;  // half of a long label: the last one stands at the edge
// Distances of the lines behind times, in seconds: those in which people think.
const TIME_STEPS = [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY_S];
const withRest = (whole, unit, rest, part) => `${number.format(whole)} ${unit} ${String(rest).padStart(2, "0")} ${part}`;
const minutes = (seconds) => seconds < 3600 ? withRest(Math.floor(seconds / 60), "min", seconds % 60, "s")
  : withRest(Math.floor(seconds / 3600), "h", Math.floor(seconds / 60) % 60, "min");
const inSeconds = (value) => value === null || value === undefined ? "–"
  : value === 0 ? "0 s" : value < 0.9995 ? `${Math.round(value * 1000)} ms` : value < 59.95 ? `${withDecimals(value, 1)} s` : minutes(Math.round(value));
// At a line: no more digits than it takes.
const brief = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 });
const atLine = {
  time: (value) => value === 0 ? "0 s" : value < 1 ? `${brief.format(value * 1000)} ms` : value < 60 ? `${brief.format(value)} s`
    : value < 3600 ? `${brief.format(value / 60)} min` : `${brief.format(value / 3600)} h`,
  percent: (value) => `${brief.format(value * 100)} %`,
  count: (value) => Number.isInteger(value) ? brief.format(value) : "",
  mean: (value) => brief.format(value),
};
const inPercent = (value) => value === null || value === undefined ? "–" : `${withDecimals(value * 100, value < 0.1 ? 1 : 0)} %`;
const asCount = (value) => value === null || value === undefined ? "–" : number.format(value);
const asMean = (value) => value === null || value === undefined ? "–" : withDecimals(value, 1);

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

const share = (part, of) => of ? part / of : null;
const decided = (point) => point.arrived + point.no_shows + point.abandoned;

// Series of each picture: name, colour, values, and how a value is written. Those of `stacked` stand on one another.
const PICTURES = {
  volume: {
    stacked: true, write: asCount, line: atLine.count, series: [
      ["joined", "good-fill", (point) => point.arrived],
      ["left", "plum-fill", (point) => point.abandoned],
      ["missed", "bad-fill", (point) => point.no_shows],
      ["other", "line-strong", (point) => point.waiting + point.cancelled],
    ],
  },
  waits: {
    write: inSeconds, line: atLine.time, steps: TIME_STEPS, series: [
      ["median", "bar", (point) => point.seconds_to_agent.p50],
      ["95 %", "warn-fill", (point) => point.seconds_to_agent.p95],
    ],
  },
  misses: {
    write: inPercent, line: atLine.percent, series: [
      ["missed", "bad-fill", (point) => share(point.no_shows, decided(point))],
      ["fallback", "warn-fill", (point) => share(point.fallbacks, point.dispatches)],
    ],
  },
  queue: { filled: true, write: asMean, line: atLine.mean, series: [["queued", "warn-fill", (point) => point.queue_length]] },
};

function stacked(columns) {
  const sums = [];
  for (const column of columns) sums.push(column.map((value, place) => value + (sums.at(-1)?.[place] ?? 0)));
  return sums;
}

function ticks(_plot, splits, _axis, _space, step) {
  let before = "";
  return splits.map((second) => {
    const instant = new Date(second * 1000), date = day.format(instant);
    if (step >= DAY_S) return date;
    const text = date === before ? hour.format(instant) : `${hour.format(instant)}\n${date}`;
    before = date;
    return text;
  });
}

// A dashed line at each change of rules, and its number in the list beneath in a box. The line of the pointer is whole.
function rulesChanged(changes, colour) {
  const draw = (plot) => {
    const { ctx, bbox } = plot, ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour("line-strong");
    ctx.fillStyle = colour("text");
    ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    let free = -Infinity;
    for (const [place, change] of changes().entries()) {
      const x = plot.valToPos(Date.parse(change.at) / 1000, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (x < free) continue;
      const width = Math.max(16, 8 * String(place + 1).length + 6) * ratio;
      ctx.strokeRect(x - width / 2, bbox.top - 17 * ratio, width, 15 * ratio);
      ctx.fillText(String(place + 1), x, bbox.top - 6 * ratio);
      free = x + width + 3 * ratio;
    }
    ctx.restore();
  };
  return { hooks: { draw } };
}

// How wide the longest label beside the lines is.
function roomFor(plot, labels) {
  const { ctx } = plot;
  ctx.save();
  ctx.font = FONT;
  const widest = Math.max(0, ...(labels ?? []).map((one) => ctx.measureText(one).width));
  ctx.restore();
  return Math.ceil(Math.max(30, widest)) + 14;
}

function drawn(place, first) {
  const { series, write, line, steps, ...kind } = PICTURES[place.dataset.chart];
  const colour = colours();
  const order = series.map((_, index) => kind.stacked ? series.length - 1 - index : index);  // the highest stack first
  let figures, half, times, raw;
  const take = (latest) => {
    figures = latest;
    half = figures.step_s / 2;
    times = figures.points.map((point) => Date.parse(point.at) / 1000 + half);
    raw = series.map(([, , value]) => figures.points.map(value));
    const shown = kind.stacked ? stacked(raw) : raw;
    return [times, ...order.map((index) => shown[index])];
  };
  const data = take(first);
  // Not zoomed, the picture reaches from the begin of the first interval to the end of the last.
  const span = (_plot, low, high) => [low <= times[0] ? times[0] - half : low, high >= times.at(-1) ? times.at(-1) + half : high];
  const paint = ([name, tone], index) => ({
    label: words[name] || name,
    stroke: colour(tone),
    width: kind.stacked ? 0 : 2,
    fill: kind.stacked ? colour(tone) : kind.filled ? colour("warn-soft") : undefined,
    paths: kind.stacked ? uPlot.paths.bars({ size: [0.8, 48] }) : undefined,
    points: { show: !kind.stacked, size: 4, fill: colour(tone) },
    value: (_plot, _value, _series, row) => write(row === null || row === undefined ? null : raw[index][row]),
  });
  const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: FONT };
  const plot = new uPlot({
    width: place.clientWidth,
    height: 220,
    padding: [18, LABEL_PX, 0, 0],
    cursor: { sync: { key: "trends" }, points: { size: 7 }, y: false },
    scales: { x: { range: span }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, values: ticks, space: 62, size: 42 },
      { ...axis, values: (_plot, values) => values.map(line), size: roomFor, ...(steps && { incrs: steps }) },
    ],
    series: [
      { label: words.from, value: (_plot, second) => second === null || second === undefined ? "–" : whole.format(new Date((second - half) * 1000)) },
      ...order.map((index) => paint(series[index], index)),
    ],
    plugins: [rulesChanged(() => figures.changes, colour)],
  }, data, place);
  // Where a part was zoomed into, that part stays.
  const renew = (latest) => {
    const { min, max } = plot.scales.x;
    const zoomed = min > times[0] - half || max < times.at(-1) + half;
    plot.batch(() => {
      plot.setData(take(latest), !zoomed);
      if (zoomed) plot.setScale("x", { min, max });
      const { left, top } = plot.cursor;
      if (left >= 0) plot.setCursor({ left, top }, false);
    });
  };
  return { plot, renew };
}

const charts = new Map();

function remove(places) {
  for (const place of places) {
    sizes.unobserve(place);
    charts.get(place).plot.destroy();
    charts.delete(place);
  }
}

function draw() {
  remove([...charts.keys()].filter((place) => !place.isConnected));
  const root = document.querySelector("[data-figures]");
  if (!root) return;
  words = JSON.parse(root.dataset.words);
  const figures = JSON.parse(root.dataset.figures);
  for (const place of root.querySelectorAll("[data-chart]")) {
    const chart = charts.get(place);
    if (chart) chart.renew(figures);
    else {
      charts.set(place, drawn(place, figures));
      sizes.observe(place);
    }
  }
  root.dataset.drawn = "true";
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const plot = charts.get(target)?.plot;
    if (plot && target.clientWidth && plot.width !== target.clientWidth) plot.setSize({ width: target.clientWidth, height: plot.height });
  }
});

// In the colours of the scheme.
function drawAnew() {
  remove([...charts.keys()]);
  draw();
}

document.addEventListener("DOMContentLoaded", () => {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
  document.getElementById("trends").addEventListener("renewed", draw);
});
