// Small charts as inline SVG: one or two lines over the last minutes or the last day. The area under the first is
// filled.

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [240, 56];
/** The spans of time that the charts can show, in milliseconds. */
export const SPANS = { minutes: 300_000, day: 86_400_000 };
const LEAST_SPAN_MS = 60_000;
/** Points are a minute apart at most. Over a longer gap than this the values are not known, and no line is drawn. */
const GAP_MS = 180_000;

/** A chart; each call of `draw` replaces what it shows. */
export class Chart {
  element = made("svg", {
    class: "chart",
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
  });
  #area = made("path", { class: "area" });
  #lines = [made("path", { class: "line second" }), made("path", { class: "line" })];

  constructor() {
    this.element.append(this.#area, ...this.#lines);
  }

  /**
   * Draws one or two lines.
   *
   * @param lines for each line its points: [time in milliseconds since 1970, value or null]. The first line has the
   *   area, the second is thinner
   * @param now the time at the right edge, in milliseconds since 1970
   * @param span how much time the chart shows at most, in milliseconds
   * @param least the top of the chart stands for at least this value
   * @param label (values) → the text for screen readers
   */
  draw(lines, now, span, least, label) {
    const values = lines.flat().flatMap(([, value]) => (value === null ? [] : [value]));
    const top = Math.max(least, ...values) * 1.08;
    const oldest = Math.min(...lines.flat().map(([at]) => at));
    const wide = Math.min(span, Math.max(LEAST_SPAN_MS, now - oldest));
    const runs = lines.map((points) => runsOf(points, now, wide, top));
    const [second, first] = this.#lines;
    first.setAttribute("d", runs[0].map(lineOf).join(""));
    second.setAttribute("d", (runs[1] ?? []).map(lineOf).join(""));
    this.#area.setAttribute("d", runs[0].map(areaOf).join(""));
    this.element.setAttribute("aria-label", label(values));
  }
}

/** Splits points into runs of coordinates. A new run begins after a value that is not known, and after a gap. */
function runsOf(points, now, wide, top) {
  const runs = [[]];
  let before = -Infinity;
  for (const [at, value] of points) {
    const x = WIDTH * (1 - (now - at) / wide);
    if (x < 0) continue;
    if (value === null || at - before > GAP_MS) runs.push([]);
    if (value !== null) runs.at(-1).push([x, HEIGHT - (value / top) * HEIGHT]);
    before = at;
  }
  return runs.filter((run) => run.length > 0);
}

const rounded = (number) => Number(number.toFixed(1));

function lineOf(run) {
  return run.map(([x, y], n) => `${n ? "L" : "M"}${rounded(x)} ${rounded(y)}`).join("");
}

function areaOf(run) {
  return `${lineOf(run)}L${rounded(run.at(-1)[0])} ${HEIGHT}L${rounded(run[0][0])} ${HEIGHT}Z`;
}

/**
 * A bar that is filled in part.
 *
 * @param share the filled part, 0 to 1
 * @param kind its class, by which a style sheet gives it a colour
 * @returns the SVG element
 */
export function meter(share, kind) {
  const rail = made("rect", { class: "rail", width: "100%", height: "8", rx: "4" });
  const fill = made("rect", { class: "fill", width: `${rounded(share * 100)}%`, height: "8", rx: "4" });
  const element = made("svg", { class: `meter ${kind}`, "aria-hidden": "true" });
  element.append(rail, fill);
  return element;
}

function made(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
