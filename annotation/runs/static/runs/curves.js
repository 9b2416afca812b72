// Draws the metrics of a run as small charts and keeps them moving while it runs.
const EVERY = 2000;
const root = document.querySelector("[data-curves]");
const charts = new Map();
let newest = { steps: [], series: {}, charts: [] };

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

const lastOf = (values, until = values.length - 1) => values.slice(0, until + 1).findLast((value) => value !== null);
const titled = ({ title, unit }) => (unit ? `${title} (${unit})` : title);

function element(kind, className, text = "") {
  const made = document.createElement(kind);
  made.className = className;
  made.textContent = text;
  return made;
}

/** What a chart is of, and behind it the value of each of its lines: the newest, or that under the cursor. */
function newCaption({ title, unit, lines }) {
  const caption = element("figcaption", "");
  const name = element("span", "curve-title", title);
  if (unit) name.append(" ", element("span", "curve-unit", unit));
  const values = element("span", "curve-values");
  const places = lines.map(({ title: line }, at) => {
    const one = element("span", "curve-value");
    if (lines.length > 1) one.append(element("i", `swatch run-${at + 1}`), line, " ");
    const value = element("b", "");
    one.append(value);
    values.append(one);
    return value;
  });
  caption.append(name, values);
  return { caption, places };
}

function newChart(told, data) {
  const figure = element("figure", "card curve");
  const { caption, places } = newCaption(told);
  const place = element("div", "");
  place.setAttribute("role", "img");
  figure.append(caption, place);
  root.append(figure);
  const show = (u) => places.forEach((value, at) => { value.textContent = readable(lastOf(u.data[at + 1], u.cursor.idx ?? undefined)); });
  const axis = { stroke: color("--ink-2"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
  const strokes = [{ stroke: color("--accent") }, { stroke: color("--warn"), dash: [6, 3] }];
  const plot = new uPlot({
    width: place.clientWidth || 320,
    height: 160,
    legend: { show: false },
    cursor: { y: false },
    scales: { x: { time: false }, y: { range: span } },
    axes: [{ ...axis, size: 28, incrs: WHOLE }, { ...axis, size: 56, values: (_, ticks) => apart(ticks) }],
    series: [{}, ...told.lines.map((_, at) => ({ ...strokes[at % 2], width: 2, spanGaps: true, points: { show: (u, line) => u.data[line].filter((one) => one !== null).length < 3 } }))],
    hooks: { setCursor: [show] },
  }, data, place);
  new ResizeObserver(() => { if (place.clientWidth) plot.setSize({ width: place.clientWidth, height: 160 }); }).observe(place);
  return { figure, place, plot, show: () => show(plot), home: null };
}

/** The charts of one thing that a run tells of, under its name. */
function homeOf(tells) {
  const id = `curves-${tells.toLowerCase().replaceAll(" ", "-")}`;
  const there = document.getElementById(id);
  if (there) return there.querySelector(".curves");
  const section = element("section", "stack");
  section.id = id;
  section.append(element("h3", "", tells), element("div", "curves"));
  root.append(section);
  return section.lastChild;
}

/** Where charts of zeros alone lie, behind their names. */
function fold() {
  const there = root.querySelector("[data-curves-zero]");
  if (there) return there.querySelector(".curves");
  const details = element("details", "");
  details.dataset.curvesZero = "";
  details.append(element("summary", "small"), element("div", "curves"));
  root.append(details);
  return details.lastChild;
}

function place(chart, home) {
  if (chart.home === home) return;
  chart.home = home;
  home.append(chart.figure);
}

function draw({ steps, series, charts: told }) {
  if (told.length) root.querySelector("[data-curves-empty]")?.remove();
  for (const one of told) {
    const [{ name }] = one.lines;
    const data = [steps, ...one.lines.map((line) => series[line.name])];
    if (charts.has(name) && charts.get(name).plot.series.length !== data.length) forget(name);
    const chart = charts.get(name) ?? newChart(one, data);
    charts.set(name, chart);
    chart.plot.setData(data);
    chart.show();
    const values = one.lines.map((line) => `${one.lines.length > 1 ? `${line.title} ` : ""}${readable(lastOf(series[line.name]))}`);
    chart.place.setAttribute("aria-label", `${titled(one)} at step ${steps.at(-1)}: ${values.join(", ")}. The table tells the first, newest, lowest and highest number.`);
    place(chart, one.is_zero ? fold() : homeOf(one.tells));
  }
  settle(told);
}

/** Names behind the fold, and no heading without a chart; each group is as wide as its charts need. */
function settle(told) {
  for (const section of root.querySelectorAll("section")) {
    const { length } = section.querySelectorAll("figure");
    section.hidden = !length;
    section.style.setProperty("--charts", length);
  }
  const zeros = told.filter((one) => one.is_zero).map((one) => one.title);
  const details = root.querySelector("[data-curves-zero]");
  if (!details) return;
  details.hidden = !zeros.length;
  root.append(details);
  details.querySelector("summary").textContent = `Zero at every step: ${zeros.join(", ")}`;
}

function forget(name) {
  const { figure, plot } = charts.get(name);
  plot.destroy();
  figure.remove();
  charts.delete(name);
}

function redraw() {
  for (const name of [...charts.keys()]) forget(name);
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
