// Draws the metrics of a run as small charts and keeps them moving while it runs.
const EVERY = 2000;
const root = document.querySelector("[data-curves]");
const charts = new Map();
let newest = { steps: [], series: {} };

/** A token's color as it is now: the probe resolves light-dark(), which a canvas does not know. */
function color(name) {
  const probe = root.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const seen = getComputedStyle(probe).color;
  probe.remove();
  return seen;
}
const compact = (value, digits = 4) => (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(digits - 3) : Number(value.toPrecision(digits)).toString()).replace(/^-/, "−");
const readable = (value) => (value === null || value === undefined ? "–" : compact(value));
const WHOLE = [1, 2, 5].flatMap((first) => [...Array(9).keys()].map((zeros) => first * 10 ** zeros)).sort((a, b) => a - b);

/** Ticks in so many digits that no two read the same. */
function apart(ticks) {
  let words = [];
  for (let digits = 4; digits < 9; digits += 1) {
    words = ticks.map((tick) => compact(tick, digits));
    if (new Set(words).size === words.length) break;
  }
  return words;
}

/** What a chart spans; a level line gets some room. */
function span(_, low, high) {
  if (low === null) return [0, 1];
  if (low !== high) return uPlot.rangeNum(low, high, 0.1, true);
  return low === 0 ? [0, 1] : [low - Math.abs(low) / 10, low + Math.abs(low) / 10];
}

const lastOf = (values) => values.findLast((value) => value !== null);

function newChart(name, data) {
  const figure = document.createElement("figure");
  figure.className = "card curve";
  const caption = document.createElement("figcaption");
  const title = document.createElement("span");
  const value = document.createElement("b");
  title.textContent = name.replaceAll("_", " ");
  caption.append(title, value);
  const place = document.createElement("div");
  place.setAttribute("role", "img");
  figure.append(caption, place);
  root.append(figure);
  const axis = { stroke: color("--ink-2"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  const plot = new uPlot({
    width: place.clientWidth || 320,
    height: 160,
    legend: { show: false },
    cursor: { y: false },
    scales: { x: { time: false }, y: { range: span } },
    axes: [{ ...axis, size: 28, incrs: WHOLE }, { ...axis, size: 56, values: (_, ticks) => apart(ticks) }],
    series: [{}, { stroke: color("--accent"), width: 2, spanGaps: true, points: { show: (u) => u.data[0].length < 3 } }],
    hooks: { setCursor: [(u) => { value.textContent = readable(u.cursor.idx === null ? lastOf(u.data[1]) : u.data[1][u.cursor.idx]); }] },
  }, data, place);
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: 160 })).observe(place);
  return { figure, place, value, plot };
}

function draw({ steps, series }) {
  const names = Object.keys(series);
  if (names.length) root.querySelector("[data-curves-empty]")?.remove();
  for (const name of names) {
    const data = [steps, series[name]];
    const chart = charts.get(name) ?? newChart(name, data);
    charts.set(name, chart);
    chart.plot.setData(data);
    chart.value.textContent = readable(lastOf(data[1]));
    chart.place.setAttribute("aria-label", `${name} at step ${steps.at(-1)}: ${chart.value.textContent}. All numbers are in the table.`);
  }
}

function redraw() {
  for (const { figure, plot } of charts.values()) { plot.destroy(); figure.remove(); }
  charts.clear();
  draw(newest);
}

async function look() {
  let isLive = true;
  try {
    const answer = await fetch(root.dataset.curves, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      newest = await answer.json();
      draw(newest);
      isLive = ["queued", "running"].includes(newest.status);
    }
  } catch { /* the next look may succeed */ }
  if (isLive) setTimeout(look, EVERY);
}

if (root) {
  look();
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
