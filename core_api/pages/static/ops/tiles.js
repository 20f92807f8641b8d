// The row of key figures, each with a chart of the last minutes or the last day.

import { el, setText } from "../shared/dom.js";
import { t } from "../shared/language.js";
import { Chart, SPANS } from "./chart.js";
import { milliseconds, number, span } from "./numbers.js";

/**
 * For each tile: the name of its text, its value, the text below that, the lines of its chart, how a value is
 * written, and the least value that the top of the chart stands for.
 */
const TILES = [
  {
    name: "connections",
    value: (f) => number(f.connections),
    below: belowConnections,
    lines: (points) => [points.map((p) => [p.at_ms, p.connections])],
    write: number,
    least: 4,
  },
  {
    name: "events",
    value: (f) => (f.events_per_s === null ? "–" : number(f.events_per_s) + t("perSecond")),
    below: (f) => t("pushed", { value: number(f.deliveries_per_s) }),
    lines: (points) => [points.map((p) => [p.at_ms, p.events_per_s])],
    write: number,
    least: 2,
  },
  {
    name: "latency",
    value: (f) => milliseconds(f.latency?.p50_ms),
    below: (f) => (f.latency ? t("p99", { value: milliseconds(f.latency.p99_ms) }) : t("noPush")),
    lines: (points) => [
      points.map((p) => [p.at_ms, p.p50_ms]),
      points.map((p) => [p.at_ms, p.p99_ms]),
    ],
    write: milliseconds,
    least: 10,
  },
  {
    name: "watermark",
    value: (f) => span(f.watermark_age_s),
    below: (f) => t(f.watermark_age_s === null ? "unknown" : "allowed"),
    lines: (points) => [points.map((p) => [p.at_ms, p.watermark_age_s])],
    write: span,
    least: 1,
  },
  {
    name: "outbox",
    value: (f) => number(f.outbox?.rows),
    below: (f) => {
      if (f.outbox === null) return t("unknown");
      return f.outbox.rows === 0 ? t("empty") : t("oldest", { value: span(f.outbox.age_s) });
    },
    lines: (points) => [points.map((p) => [p.at_ms, p.outbox_rows])],
    write: number,
    least: 4,
  },
  {
    name: "webhooks",
    value: (f) => number(f.webhooks?.active),
    below: belowWebhooks,
    lines: (points) => [points.map((p) => [p.at_ms, p.webhooks_failing ?? null])],
    write: number,
    least: 4,
  },
];

/** How many event servers are ready, if not all of them are. */
function belowConnections({ nodes }) {
  const servers = nodes.filter((node) => node.kind === "events");
  const ready = servers.filter((node) => node.state === "ready").length;
  return ready === servers.length ? t("followers") : t("serversReady", { ready, of: servers.length });
}

/** How many webhooks are late or parked, and how many events were set aside. */
function belowWebhooks({ webhooks }) {
  if (!webhooks) return t("unknown");
  const { late, parked, set_aside: aside } = webhooks;
  const parts = [["webhooksLate", late], ["webhooksParked", parked], ["webhooksAside", aside]];
  const shown = parts.filter(([, value]) => value > 0).map(([name, value]) => t(name, { value: number(value) }));
  return shown.length > 0 ? shown.join(" · ") : t("webhooksWell");
}

/** The worst level of the alerts about this figure; empty: there are none. */
function levelOf({ alerts }, name) {
  const levels = alerts.filter((one) => one.figure === name).map((one) => one.level);
  return levels.includes("red") ? "red" : (levels[0] ?? "");
}

/** The tiles, in `parent`. */
export class Tiles {
  #tiles;

  constructor(parent) {
    this.#tiles = TILES.map((kind) => {
      const [name, value, below] = [el("h3"), el("p", { class: "value" }), el("p", { class: "below" })];
      const chart = new Chart();
      const tile = el("article", { class: "tile", "data-figure": kind.name }, name, value, below);
      tile.append(chart.element);
      parent.append(tile);
      return { kind, tile, name, value, below, chart };
    });
  }

  /**
   * Shows the figures.
   *
   * @param figures the newest figures
   * @param points what the charts show, the oldest first
   * @param over the span of the charts: its name in SPANS
   */
  show(figures, points, over) {
    for (const { kind, tile, name, value, below, chart } of this.#tiles) {
      setText(name, t(kind.name));
      setText(value, kind.value(figures));
      setText(below, kind.below(figures));
      tile.dataset.level = levelOf(figures, kind.name);
      chart.draw(kind.lines(points), figures.at_ms, SPANS[over], kind.least, (values) => {
        if (values.length === 0) return t("chartEmpty", { name: t(kind.name) });
        const [least, most] = [Math.min(...values), Math.max(...values)].map(kind.write);
        return t(`chart_${over}`, { name: t(kind.name), least, most });
      });
    }
  }
}
