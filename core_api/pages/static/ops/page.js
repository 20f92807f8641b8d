// The ops page while somebody is signed in: what the feed tells becomes tiles, panels and faults.

import { byId, el, setText } from "../shared/dom.js";
import { clockTime } from "../shared/format.js";
import { t } from "../shared/language.js";
import { ReachLines } from "../shared/reach.js";
import { SPAN_MS } from "./chart.js";
import { Feed } from "./feed.js";
import { clients, late, nodes, resyncs, top } from "./panels.js";
import { Tiles } from "./tiles.js";

const MODES = { live: "live", starting: "starting", offline: "offline", busy: "polling" };

/** Shows what the feed tells; `leave` is called with why the token is not taken. */
export class OpsPage {
  #tiles = new Tiles(byId("tiles"));
  #points = [];
  #figures = null;
  #configured = null;
  #feed;
  #state = ["starting", ""];
  #reach;

  constructor(token, leave) {
    this.#reach = new ReachLines(() => token);
    this.#feed = new Feed(token, {
      hello: (hello) => this.#welcome(hello),
      figures: (figures) => this.#take(figures),
      feed: (...state) => this.#turn(state),
      refused: leave,
    });
  }

  start() {
    byId("ops").hidden = false;
    this.show();
    this.#feed.run();
  }

  stop() {
    this.#feed.stop();
    this.#reach.keep(new Set());
  }

  show() {
    document.title = t("title");
    this.#showLamp();
    this.#showFaults();
    const figures = this.#figures;
    byId("ops").classList.toggle("stale", this.#state[0] !== "live");
    document.querySelector(".page").hidden = figures === null;
    if (figures === null) return;
    this.#tiles.show(figures, this.#points);
    fill("clients", clients(figures.clients));
    fill("resyncs", resyncs(figures.resyncs));
    fill("top", top(figures.top));
    this.#reach.keep(new Set((figures.late ?? []).map((one) => one.order_id)));
    fill("late", late(figures.late, (id) => {
      const { button, list } = this.#reach.of(id);
      return [button, list];
    }));
    fill("nodes", nodes(figures.nodes, this.#configured));
  }

  #welcome({ nodes: configured, points }) {
    this.#configured = configured;
    const known = points.at(-1)?.at_ms ?? 0;
    // What the server does not remember, as after its own restart, we still do.
    const before = this.#points.filter((point) => point.at_ms < (points[0]?.at_ms ?? Infinity));
    const after = this.#points.filter((point) => point.at_ms > known);
    this.#points = points.length > 0 ? [...before, ...points, ...after] : this.#points;
  }

  #take(figures) {
    this.#figures = figures;
    this.#state = ["live", ""];
    const { at_ms, connections, events_per_s, syncs_per_s, latency, watermark_age_s, outbox } = figures;
    this.#points = this.#points.filter((p) => p.at_ms > at_ms - SPAN_MS && p.at_ms < at_ms);
    this.#points.push({
      at_ms,
      connections,
      events_per_s,
      syncs_per_s,
      p50_ms: latency?.p50_ms ?? null,
      p99_ms: latency?.p99_ms ?? null,
      watermark_age_s,
      outbox_rows: outbox?.rows ?? null,
    });
    this.show();
  }

  #turn(state) {
    this.#state = state;
    this.show();
  }

  #showLamp() {
    const [state] = this.#state;
    const lamp = byId("lamp");
    lamp.dataset.mode = MODES[state];
    setText(lamp.querySelector(".lamp-mode"), t(`feed_${state}`));
    const at = this.#figures?.at_ms;
    const text = at === undefined ? t("asOfNever") : t("asOf", { time: clockTime(at) });
    setText(lamp.querySelector(".lamp-certain"), text);
  }

  #showFaults() {
    const faults = [...this.#faults()].map(([kind, text]) => [kind, text]);
    const list = byId("faults");
    const told = [...list.children].map((item) => item.textContent);
    // A live region speaks at each change: what stands there already is left alone.
    if (told.join("\n") === faults.map(([, text]) => text).join("\n")) return;
    list.replaceChildren(...faults.map(([kind, text]) => el("li", { class: `fault ${kind}` }, text)));
  }

  *#faults() {
    const [state, detail] = this.#state;
    if (state === "offline") yield ["red", t("fault_feed", { detail })];
    if (state === "busy") yield ["amber", t("fault_busy", { detail })];
    const figures = this.#figures;
    if (figures === null) return;
    if (figures.database) yield ["red", t("fault_database", { detail: figures.database })];
    for (const node of figures.nodes) {
      if (node.state === "ready") continue;
      const text = t("fault_node", { node: node.node, detail: node.detail || t(`state_${node.state}`) });
      yield [node.state === "down" ? "red" : "amber", text];
    }
    const stores = new Set((figures.late ?? []).map((one) => one.store_id));
    if (stores.size > 0) yield ["red", t("fault_late", { count: stores.size })];
  }
}

function fill(id, element) {
  byId(id).replaceChildren(element);
}
