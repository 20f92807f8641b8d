// Runs cases on the browser's shared state, as tests/conformance/state_subject.py does.

import { formatContentDigest } from "/static/yabam/contract/contract.js";
import { slugOf } from "/static/yabam/transport/http_failures.js";
import { checkDocument, checkDocumentEvent, documentHash } from "/static/yabam/contract/state/document.js";
import { checkOutcome } from "/static/yabam/contract/state/edit.js";
import { nameOf } from "/static/yabam/state/entries.js";
import { PatchError, StateError, StateValueError } from "/static/yabam/contract/state/errors.js";
import { MemoryStore } from "/static/yabam/state/memory_store.js";
import { mergePatch } from "/static/yabam/contract/state/merge_patch.js";
import { apply, checkOperation } from "/static/yabam/contract/state/operations.js";
import { applyPatch, diff } from "/static/yabam/contract/state/patch.js";
import { get, parsePointer } from "/static/yabam/contract/state/pointer.js";
import { queueOf } from "/static/yabam/state/records.js";
import { Replica } from "/static/yabam/state/replica.js";
import { checkDocumentValue, same } from "/static/yabam/contract/state/values.js";

const ABSENT = { absent: true };
const orAbsent = (value) => (value === undefined ? ABSENT : value);
const orMissing = (value) => (same(value, ABSENT) ? undefined : value);

/** The SDK's answer to a case of the files of the shared state. */
export const STATE_SUBJECTS = {
  pointers({ pointer, value }) {
    const path = parsePointer(pointer);
    return { path, found: orAbsent(get(value, path)) };
  },

  values({ value }) {
    try {
      checkDocumentValue(value);
    } catch (error) {
      if (error instanceof StateValueError) return { pointer: error.pointer };
      throw error;
    }
    return "taken";
  },

  document_digests({ documents }) {
    const hashes = documents.map(([key, version, value]) => documentHash(key, version, value));
    return formatContentDigest(hashes.reduce((a, b) => a ^ b, 0n));
  },

  patches({ value, patch }) {
    try {
      return orAbsent(applyPatch(orMissing(value), patch));
    } catch (error) {
      if (error instanceof PatchError) return { "fails at": error.index };
      throw error;
    }
  },

  diffs: ({ before, after }) => diff(orMissing(before), orMissing(after)),
  merge_patches: ({ target, patch }) => mergePatch(target, patch),
  operations: ({ do: operation, value }) => apply(checkOperation(operation), value),

  state(given) {
    const subject = new StateSubject(given);
    return given.steps.map((step) => subject.step(step));
  },
};

function ring(current, { times }) {
  if (times < 1) throw new Error("a bell rings at least once");
  return { ...current, rung: (current?.rung ?? 0) + times };
}

class StateSubject {
  #case;
  #channels;
  #ids = 0;
  #store = new MemoryStore();
  #requests = [];
  #replica;

  constructor(given) {
    this.#case = given;
    this.#channels = given.channels;
    this.#replica = this.#opened();
  }

  step(step) {
    const [kind] = Object.keys(step).filter((name) => Object.hasOwn(INPUTS, name));
    let result;
    try {
      result = INPUTS[kind](this.#tools, step[kind], step) ?? null;
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      result = "refused";
    }
    const replica = this.#replica;
    const { writes, changed, outcomes, conflicts } = replica.drain();
    this.#store.writeNow(writes);
    const wanted = [...replica.channels].filter(([, documents]) => documents.wanted.size > 0);
    return {
      result,
      changed: [...changed].sort(),
      outcomes: outcomes.map(([id, { outcome }]) => [id, outcome]).sort(([a], [b]) => a - b),
      conflicts: conflicts.map(({ id }) => id),
      views: this.#case.documents
        .filter(([channel]) => this.#channels.includes(channel))
        .map(([channel, key]) => viewOf(replica.view(nameOf(channel, key)))),
      wanted: Object.fromEntries(wanted.map(([name, one]) => [name, Object.fromEntries(one.wanted)])),
      question: replica.queue.question,
      kept: this.#kept(),
    };
  }

  get #tools() {
    const replica = this.#replica;
    return {
      replica,
      requests: this.#requests,
      prepare: (wishes, { made_at: madeAt = null, atomic = false, decides = null }) =>
        this.#store.writeNow(replica.prepare(wishes, madeAt, atomic, decides)),
      restart: (channels) => {
        if (channels !== true) this.#channels = channels;
        this.#replica = this.#opened();
      },
    };
  }

  #opened() {
    const stored = this.#store.openNow("a");
    const channels = Object.fromEntries(
      this.#channels.map((name) => [name, stored.documents.filter((d) => d.channel === name)]),
    );
    const queue = queueOf(stored, () => `c${++this.#ids}`);
    const resolved = this.#case.resolved ?? [];
    return new Replica(queue, channels, { waiting: stored.waiting, calls: { bell: { ring } }, resolved });
  }

  #kept() {
    const { counters, entries, documents, waiting } = this.#store.openNow("a");
    return {
      counters: counters && [counters.client, counters.nextN, counters.nextId, counters.epoch],
      entries: entries.map((row) => [
        row.id,
        row.client,
        JSON.parse(row.body),
        row.group,
        row.outcome && outcomeOf(row.outcome),
        row.at,
        row.shown,
      ]),
      documents: documents.map((d) => [d.channel, d.key, d.version, told(d.value)]).sort(byJson),
      waiting: waiting.map(waitingOf),
    };
  }
}

const INPUTS = {
  edit: (tools, wishes, step) => {
    tools.prepare(wishes, step);
    return tools.replica.accept();
  },
  prepare: (tools, wishes, step) => tools.prepare(wishes, step),
  accept: ({ replica }) => replica.accept(),
  send: ({ replica, requests }) => {
    const request = replica.queue.request();
    if (request === null) return null;
    requests.push(request);
    return JSON.parse(request.body);
  },
  answer: ({ replica, requests }, { request, outcomes }) =>
    replica.answered(requests[request], outcomes.map(checkOutcome)),
  failed: ({ replica, requests }, n) => replica.queue.failed(requests[n]),
  gap: ({ replica, requests }, n) => replica.queue.gap(requests[n]),
  mismatched: ({ replica, requests }, n) => replica.mismatched(requests[n]),
  taken: ({ replica, requests }, n) => replica.taken(requests[n]),
  unacceptable: ({ replica, requests }, { request, problem }) =>
    replica.unacceptable(requests[request], problem),
  told: ({ replica }, [client, settled, epoch]) => replica.told(client, settled, epoch),
  take: ({ replica }, change, { epoch }) => {
    if (change.type === "reset") change.documents.forEach(checkDocument);
    else checkDocumentEvent(change);
    replica.take(change, epoch);
  },
  fetched: ({ replica }, document) => replica.fetched(checkDocument(document)),
  missing: ({ replica }, [channel, key, version]) => replica.missing(nameOf(channel, key), version),
  agrees: ({ replica }, [channel, digest]) => replica.agrees(channel, digest),
  agrees_now: ({ replica }, channel) => replica.agreesNow(channel),
  decide: ({ replica }, id) => replica.decided(replica.waiting.get(id)),
  restart: ({ restart }, channels) => restart(channels),
};

const told = (value) => (value === undefined ? "absent" : value);
const byJson = (a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

function viewOf({ value, version, pending, loading, leftOut, conflict, error }) {
  return {
    value,
    version,
    pending,
    loading,
    left_out: leftOut,
    conflict: conflict && waitingOf(conflict),
    error: error && [error.slug, error.detail, error.pointer],
  };
}

function waitingOf({ id, channel, key, slug, conflict }) {
  const { version, current, base, own } = conflict;
  const parts = { current: told(current), base: told(base), own: told(own) };
  return { id, document: nameOf(channel, key), slug, version, ...parts };
}

function outcomeOf({ n, outcome, version = null, problem }) {
  return { n, outcome, version, problem: problem ? slugOf(problem) : null };
}
