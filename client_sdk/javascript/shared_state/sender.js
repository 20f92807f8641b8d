// Sends edits and commands to Core, one request at a time, and fetches large values.
//
// `Sender` and `Loader` of client_sdk/shared_state/sender.py.

import { slugOf } from "../transport/http_failures.js";
import { nameOf } from "../state/entries.js";
import { subjectOf } from "../state/subject.js";
import { Worker } from "./worker.js";

/**
 * Sends the queue, with its own subject's token only. Edits and order commands are sent in the order in which
 * they were made.
 */
export class Sender {
  #parts;
  #refused = false;

  /**
   * @param parts these: {replica, desk, journal, api, transport, subject, pump, settings, uniform, clock}; `pump` is
   *   called after each answer
   */
  constructor(parts) {
    this.#parts = parts;
    const { queue } = parts.replica;
    // Before Core has named its log, it would stay unknown which log has settled the edit.
    const hasEdits = () => queue.epoch !== null && queue.unanswered.length > 0;
    const { desk } = parts;
    const isNeeded = () => queue.question !== null || (desk.isFirst ? desk.canSend : hasEdits());
    this.worker = new Worker({ ...parts, isNeeded, step: () => this.#step() });
  }

  async #step() {
    const { replica, desk, journal, api, transport, subject, pump } = this.#parts;
    const token = await transport.accessToken(this.#refused);
    if (subjectOf(token) !== subject) {
      this.worker.failed("the token belongs to another subject: edits are not sent");
      return;
    }
    // An answer is stored before a request tells Core that it is received.
    while (!journal.isClean) await journal.commit();
    const { queue } = replica;
    const client = queue.question;
    if (client === null && desk.isFirst) {
      await this.#sendCommand(token);
      return;
    }
    const request = client === null ? queue.request(desk.queue.first) : null;
    if (client !== null) {
      const answer = await api.settled(client, token);
      if (answer.type === "Settled") {
        this.#well();
        replica.told(client, answer.n, answer.epoch);
      } else this.#failed(answer);
    } else if (request !== null) this.#take(request, await api.send(request, token));
    else this.worker.failed("there is nothing to send now");
    pump();
  }

  async #sendCommand(token) {
    const { desk, api } = this.#parts;
    const request = await desk.nextRequest();
    if (request === null) return;
    const answer = await api.command(request, token);
    if (answer.type === "Again") {
      desk.queue.failed(request);
      this.#failed(answer);
      return;
    }
    await desk.answered(request, answer);
    this.#well();
  }

  #take(request, answer) {
    const { replica } = this.#parts;
    if (answer.type === "Answered") {
      if (replica.answered(request, answer.outcomes)) this.#well();
      else this.worker.failed("Core's answer contains no outcome for the edits that were sent");
    } else if (answer.type === "NotTaken") {
      this.#refusal(request, answer.problem);
    } else {
      replica.queue.failed(request);
      this.#failed(answer);
    }
  }

  #refusal(request, problem) {
    // Each of these changes the next request; if one repeats, the back-off delays it.
    const { replica } = this.#parts;
    this.worker.failed(`${problem.title}: ${problem.detail}`);
    const slug = slugOf(problem);
    if (slug === "edit-gap") replica.queue.gap(request);
    else if (slug === "client-taken") replica.taken(request);
    else if (slug === "edit-mismatch") replica.mismatched(request);
    else replica.unacceptable(request, problem);
  }

  #well() {
    this.#refused = false;
    this.worker.well();
  }

  #failed({ detail, problem, retryAfter, unauthorized = false }) {
    this.#refused = unauthorized;
    this.worker.failed(detail ?? problem.title, retryAfter);
  }
}

/** Fetches the values that events do not contain. */
export class Loader {
  #parts;
  #refused = false;
  #tried = new Map();
  #tries = 0;

  /**
   * @param parts these: {replica, api, transport, loaded, settings, uniform, clock}; `loaded` is called with
   *   the channel after each
   */
  constructor(parts) {
    this.#parts = parts;
    const isNeeded = () => this.#wanted().length > 0;
    this.worker = new Worker({ ...parts, isNeeded, step: () => this.#step() });
  }

  #wanted() {
    const found = [];
    for (const [channel, { wanted }] of this.#parts.replica.channels) {
      for (const [key, version] of wanted) found.push({ channel, key, version });
    }
    return found;
  }

  /** The value whose last attempt is the oldest: a failing one does not block the others. */
  #next() {
    const named = this.#wanted().map((one) => ({ ...one, name: nameOf(one.channel, one.key) }));
    const before = this.#tried;
    const lastTry = ({ name }) => before.get(name) ?? 0;
    this.#tried = new Map(named.filter(({ name }) => before.has(name)).map((one) => [one.name, lastTry(one)]));
    const next = named.reduce((first, one) => (lastTry(one) < lastTry(first) ? one : first));
    this.#tries += 1;
    this.#tried.set(next.name, this.#tries);
    return next;
  }

  async #step() {
    const { replica, api, transport, loaded } = this.#parts;
    const { channel, key, version } = this.#next();
    const token = await transport.accessToken(this.#refused);
    const documents = replica.channels.get(channel);
    const log = documents.epoch;
    const answer = await api.document(channel, key, version, token);
    if (documents.epoch !== log) return; // the value may come from the other log
    if (answer.type !== "Found") {
      this.#refused = answer.unauthorized ?? false;
      this.worker.failed(answer.detail ?? answer.problem.title, answer.retryAfter);
      return;
    }
    this.#refused = false;
    this.worker.well();
    if (answer.document !== null) replica.fetched(answer.document);
    else replica.missing(nameOf(channel, key), version);
    const { wanted } = documents;
    if (wanted.has(key) && wanted.get(key) === version) {
      this.worker.failed("Core's answer is not the version that was asked for");
    }
    loaded(channel);
  }
}
