// The ops page of a signed-in person: shows what the feed receives as a verdict, tiles and panels.

import { fetchCore } from "../shared/core/fetch_core.js";
import { byId, setText } from "../shared/dom.js";
import { clockTime } from "../shared/format.js";
import { t } from "../shared/language.js";
import { ReachLines } from "../shared/reach.js";
import { Feed } from "./feed.js";
import { Points } from "./history.js";
import { alertList, verdictLine } from "./judgement.js";
import { morph } from "./morph.js";
import { clients, late, nodes, top } from "./panels.js";
import { Tiles } from "./tiles.js";

const MODES = { live: "live", starting: "starting", offline: "offline", busy: "polling" };

/** Shows the figures. */
export class OpsPage {
  #tiles = new Tiles(byId("tiles"));
  #token;
  #points;
  #span = "minutes";
  #figures = null;
  #configured = null;
  #feed;
  /** @type {[string, string]} */
  #state = ["starting", ""];
  #reach;

  /**
   * @param token the bearer token
   * @param leave (name of a text): called when Core refuses the token
   */
  constructor(token, leave) {
    this.#reach = new ReachLines(() => token);
    this.#token = token;
    this.#points = new Points(token);
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
    const figures = this.#figures;
    fill("verdict", verdictLine(figures, this.#state));
    byId("ops").classList.toggle("stale", this.#state[0] !== "live");
    byId("figures").hidden = figures === null;
    byId("alerts").hidden = figures === null;
    if (figures === null) return;
    fill("alerts", alertList(figures));
    this.#showCharts();
    fill("clients", clients(figures.clients));
    fill("top", top(figures.top));
    this.#reach.keep(new Set((figures.late ?? []).map((one) => one.order_id)));
    fill("late", late(figures.late));
    for (const slot of byId("late").querySelectorAll("[data-slot]")) {
      const { button, list } = this.#reach.of(slot.dataset.slot);
      if (slot.firstChild !== button) slot.replaceChildren(button, list);
    }
    fill("nodes", nodes(figures.nodes, this.#configured));
  }

  /** Shows the charts over another span; its name in SPANS. */
  showSpan(span) {
    this.#span = span;
    if (this.#figures !== null) this.#showCharts();
  }

  /** Tells Core that the signed-in person deals with alerts; `names` has one name per line. */
  async acknowledge(names) {
    setText(byId("problem"), "");
    try {
      for (const alert of names.split("\n")) this.#mark(alert, await this.#send(alert));
    } catch (error) {
      setText(byId("problem"), t("notAcknowledged", { detail: String(error.message ?? error) }));
    }
  }

  async #send(alert) {
    const answer = await fetchCore("/v1/ops/acknowledgements", this.#token, { method: "POST", json: { alert } });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail ?? answer.status);
    return body;
  }

  /** Shows an acknowledgement at once, as the next figures will show it. */
  #mark(name, acknowledged) {
    const { alerts, late: stores } = this.#figures;
    this.#figures.alerts = alerts.map((one) => (one.name === name ? { ...one, acknowledged } : one));
    this.#figures.late =
      stores?.map((one) => (`${one.kind}:${one.store_id}` === name ? { ...one, acknowledged } : one)) ?? null;
    this.show();
  }

  async #welcome({ nodes: configured, points, grafana }) {
    this.#configured = configured;
    this.#points.before(points);
    byId("grafana").hidden = !grafana;
    if (grafana) byId("grafana").href = grafana;
    await this.#points.ask(Date.now());
    if (this.#figures !== null) this.#showCharts();
  }

  #take(figures) {
    this.#figures = figures;
    this.#state = ["live", ""];
    const { at_ms, connections, events_per_s, latency, watermark_age_s, outbox, webhooks } = figures;
    this.#points.take({
      at_ms,
      connections,
      events_per_s,
      p50_ms: latency?.p50_ms ?? null,
      p99_ms: latency?.p99_ms ?? null,
      watermark_age_s,
      outbox_rows: outbox?.rows ?? null,
      webhooks_failing: webhooks ? webhooks.late + webhooks.parked : null,
    });
    this.show();
  }

  #turn(state) {
    this.#state = state;
    this.show();
  }

  #showCharts() {
    this.#tiles.show(this.#figures, this.#points.over(this.#span), this.#span);
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
}

function fill(id, content) {
  const parent = byId(id);
  const wanted = /** @type {HTMLElement} */ (parent.cloneNode(false));
  wanted.append(content);
  morph(parent, wanted);
}
