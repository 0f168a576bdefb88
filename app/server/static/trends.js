// Draws the figures of the page Trends with uPlot; the page has them as a table, too.
"use strict";

const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const hour = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(locale, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const number = new Intl.NumberFormat(locale);

const words = JSON.parse(document.querySelector("[data-figures]")?.dataset.words || "{}");
const DAY_S = 86400;
const inSeconds = (value) => value === null || value === undefined ? "–"
  : value === 0 ? "0 s" : value < 1 ? `${Math.round(value * 1000)} ms` : value < 60 ? `${withDecimals(value, 1)} s` : `${Math.round(value / 60)} min`;
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
    stacked: true, write: asCount, series: [
      ["joined", "good-fill", (point) => point.arrived],
      ["left", "plum-fill", (point) => point.abandoned],
      ["missed", "bad-fill", (point) => point.no_shows],
      ["other", "line-strong", (point) => point.waiting + point.cancelled],
    ],
  },
  waits: {
    write: inSeconds, series: [
      ["median", "bar", (point) => point.seconds_to_agent.p50],
      ["95 %", "warn-fill", (point) => point.seconds_to_agent.p95],
    ],
  },
  misses: {
    write: inPercent, series: [
      ["missed", "bad-fill", (point) => share(point.no_shows, decided(point))],
      ["fallback", "warn-fill", (point) => share(point.fallbacks, point.dispatches)],
    ],
  },
  queue: { filled: true, write: asMean, series: [["queued", "warn-fill", (point) => point.queue_length]] },
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

// A dashed line at each change of rules, with its number in the list beneath.
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
    for (const [place, change] of changes.entries()) {
      const x = plot.valToPos(Date.parse(change.at) / 1000, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (x < free) continue;
      ctx.fillText(String(place + 1), x, bbox.top - 5 * ratio);
      free = x + 18 * ratio;
    }
    ctx.restore();
  };
  return { hooks: { draw } };
}

function drawn(place, figures) {
  const { series, write, ...kind } = PICTURES[place.dataset.chart];
  const colour = colours(), half = figures.step_s / 2;
  const times = figures.points.map((point) => Date.parse(point.at) / 1000 + half);
  // Not zoomed, the picture reaches from the begin of the first interval to the end of the last.
  const span = (_plot, low, high) => [low <= times[0] ? times[0] - half : low, high >= times.at(-1) ? times.at(-1) + half : high];
  const raw = series.map(([, , value]) => figures.points.map(value));
  const shown = kind.stacked ? stacked(raw) : raw;
  const order = series.map((_, index) => kind.stacked ? series.length - 1 - index : index);  // the highest stack first
  const paint = ([name, tone], index) => ({
    label: words[name] || name,
    stroke: colour(tone),
    width: kind.stacked ? 0 : 2,
    fill: kind.stacked ? colour(tone) : kind.filled ? colour("warn-soft") : undefined,
    paths: kind.stacked ? uPlot.paths.bars({ size: [0.8, 48] }) : undefined,
    points: { show: !kind.stacked, size: 4, fill: colour(tone) },
    value: (_plot, _value, _series, row) => write(row === null || row === undefined ? null : raw[index][row]),
  });
  const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return new uPlot({
    width: place.clientWidth,
    height: 220,
    padding: [18, 8, 0, 0],
    cursor: { sync: { key: "trends" }, points: { size: 7 }, y: false },
    scales: { x: { range: span }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { ...axis, values: ticks, space: 62, size: 42 },
      { ...axis, values: (_plot, values) => values.map((one) => kind.stacked && !Number.isInteger(one) ? "" : write(one)), size: 58 },
    ],
    series: [
      { label: words.from, value: (_plot, second) => second === null || second === undefined ? "–" : whole.format(new Date((second - half) * 1000)) },
      ...order.map((index) => paint(series[index], index)),
    ],
    plugins: [rulesChanged(figures.changes, colour)],
  }, [times, ...order.map((index) => shown[index])], place);
}

function show(places, figures) {
  const charts = new Map();
  const paint = () => {
    for (const place of places) {
      charts.get(place)?.destroy();
      charts.set(place, drawn(place, figures));
    }
  };
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.get(target);
      if (chart && chart.width !== target.clientWidth) chart.setSize({ width: target.clientWidth, height: chart.height });
    }
  });
  for (const place of places) sizes.observe(place);
}

document.addEventListener("DOMContentLoaded", async () => {
  const root = document.querySelector("[data-figures]");
  if (!root) return;
  const answer = await fetch(root.dataset.figures, { credentials: "same-origin" }).catch(() => null);
  if (!answer?.ok) {
    root.insertAdjacentText("beforebegin", words.failed);
    return;
  }
  show([...root.querySelectorAll("[data-chart]")], await answer.json());
  root.dataset.drawn = "true";
});
