#include "follower.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* client_sdk/settings.py */
#define STREAM_FAILURES 3
#define WATERMARK_TIMEOUT 15.0
#define CONNECT_TIMEOUT 5.0
#define SYNC_TIMEOUT 30.0
#define SHORT_STREAM 1.0
#define HEALTHY_AFTER 60.0
#define BACKOFF_FIRST 0.5
#define BACKOFF_MOST 30.0
#define POLL_JITTER 0.2
/* client_sdk/machine */
#define LONG_FAULT 3
#define MAX_RECONNECT_MS 60000
#define NEVER INFINITY

static const struct handlers CORE_HANDLERS, STREAM_HANDLERS;

static double uniform(struct world *world, double low, double high) {
    /* xorshift64*: the same seed gives the same delays in each run */
    world->random_state ^= world->random_state >> 12;
    world->random_state ^= world->random_state << 25;
    world->random_state ^= world->random_state >> 27;
    double part = ((world->random_state * 2685821657736338717ull) >> 11) / 9007199254740992.0;
    return low + part * (high - low);
}

static double failed(struct world *world, struct backoff *backoff, double now, double most) {
    if (backoff->well_since >= 0 && now - backoff->well_since >= HEALTHY_AFTER)
        backoff->failures = 0;
    backoff->well_since = -1;
    backoff->failures++;
    double grown = BACKOFF_FIRST * pow(2, fmin(backoff->failures - 1, 30));
    return uniform(world, 0, fmin(grown, fmin(BACKOFF_MOST, most)));
}

/* ── actions: client_sdk/machine/actions.py ────────────────────────────────────────────────── */

static void settle(struct follower *f) {
    enum mode mode = f->mode;
    if (f->state == STREAMING)
        mode = LIVE;
    else if (f->sync_backoff.failures || f->state == GONE)
        mode = OFFLINE;
    else if (!f->is_certain)
        mode = STARTING;
    else if (f->state == POLLS || mode == OFFLINE)
        mode = POLLING;
    f->world->modes[f->mode]--;
    f->world->modes[f->mode = mode]++;
    timers_set(f->world->timers, f);
}

static void start_sync(struct follower *f, double now);

static void sync_now(struct follower *f, double now) {
    f->sync_due = NEVER;
    if (f->sync_deadline == NEVER) start_sync(f, now);
}

static void go_sync(struct follower *f, double now, double after) {
    if (f->state != POLLS) f->state = SYNCING;
    if (after > 0)
        f->sync_due = now + after;
    else
        sync_now(f, now);
}

static void go_poll(struct follower *f, double now, double probe_after) {
    f->probe_at = now + probe_after;
    if (f->state != POLLS) {
        f->state = POLLS;
        sync_now(f, now);
    } else if (f->sync_deadline == NEVER && f->sync_due == NEVER)
        f->sync_due = now + f->poll_after;
}

static void drop_stream(struct follower *f) {
    if (f->stream.awaits_answer) connection_close(&f->stream);
    f->stream_deadline = NEVER;
    f->hello_at = -1;
}

static void go_live(struct follower *f, double now) {
    f->state = STREAMING;
    f->sync_due = NEVER;
    if (f->stream_backoff.well_since < 0) f->stream_backoff.well_since = now;
}

static void give_up(struct follower *f, int status, const char *why) {
    text_format(&f->world->report, "g %ld %d %.200s\n", f->number, status, why);
    drop_stream(f);
    connection_close(&f->core);
    f->sync_due = f->sync_deadline = NEVER;
    f->state = GONE;
}

static void sync_has_failed(struct follower *f, double now, double retry_after) {
    double delay = failed(f->world, &f->sync_backoff, now, NEVER);
    go_sync(f, now, fmax(delay, retry_after));
}

static void start_sync(struct follower *f, double now) {
    static const char *const DEVICE_MODES[] = {"starting", "live", "polling", "offline"};
    struct text request = {0};
    f->sync_began = now;
    f->sync_deadline = now + SYNC_TIMEOUT;
    text_format(&request, "GET /v1/sync?channel=");
    text_add_escaped(&request, f->channel);
    text_format(&request, "&orders=1000");
    if (f->seq >= 0) {
        text_format(&request, "&lastEventId=");
        text_add_escaped(&request, f->channel);
        text_format(&request, "%%40%lld", f->seq);
    }
    if (*f->epoch) text_format(&request, "&epoch=%s", f->epoch);
    text_format(&request, " HTTP/1.1\r\nhost: %s\r\nauthorization: Bearer %s\r\n",
                f->world->core_host, f->token);
    if (f->device)
        text_format(&request, "yabam-device: %s; mode=%s; pending=0\r\n", f->device, DEVICE_MODES[f->mode]);
    text_format(&request, "\r\n");
    struct world *world = f->world;
    if (connection_is_free(&f->core, &world->core) ||
        connection_open(&f->core, world->poller, &world->core, world->source))
        connection_send(&f->core, request.at, request.len);
    else {
        f->sync_deadline = NEVER;
        world->counts[FAILED]++;
        sync_has_failed(f, now, 0);
    }
    text_free(&request);
}

/* ── streams: client_sdk/machine/sync_connect_or_poll.py ───────────────────────────────────── */

static double stream_delay(struct follower *f, double now) {
    struct backoff *backoff = &f->stream_backoff;
    if (backoff->well_since >= 0 && now - backoff->well_since >= WATERMARK_TIMEOUT)
        f->lost_at = now;
    if (now - f->lost_at >= HEALTHY_AFTER) return failed(f->world, backoff, now, NEVER);
    return failed(f->world, backoff, now, fmax(BACKOFF_FIRST, f->poll_after / 2));
}

static void stream_has_failed(struct follower *f, double now, int is_busy, double retry_after) {
    f->kept_away_until = now + retry_after;
    double delay = fmax(stream_delay(f, now), retry_after);
    if (f->state == POLLS || is_busy || f->stream_backoff.failures >= STREAM_FAILURES)
        go_poll(f, now, delay);
    else
        go_sync(f, now, delay);
}

static void sync_again(struct follower *f, double now) {
    stream_has_failed(f, now, 0, 0);
    if (f->stream_backoff.failures == 1) go_sync(f, now, 0);
}

/* Read http://HOST:PORT/PATH. Returns the path, or NULL. */
static const char *address_of(const char *url, struct sockaddr_in *address, char *host, size_t room) {
    if (strncmp(url, "http://", 7)) return NULL;
    size_t len = strcspn(url + 7, "/");
    if (len >= room) return NULL;
    memcpy(host, url + 7, len);
    host[len] = 0;
    char name[80];
    int port = 80;
    if (sscanf(host, "%79[^:]:%d", name, &port) < 1) return NULL;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, strcmp(name, "localhost") ? name : "127.0.0.1", &address->sin_addr) != 1)
        return NULL;
    return url[7 + len] ? url + 7 + len : "/";
}

static void open_stream(struct follower *f, const char *answer, double now) {
    const char *grant = json_member(answer, "stream");
    struct sockaddr_in address;
    char url[256], host[80], ticket[8192];
    const char *path;
    struct text request = {0};
    f->stream_began = now;
    f->stream_deadline = now + CONNECT_TIMEOUT;
    f->stream_events = 0;
    f->hello_at = -1;
    f->goodbye = NO_GOODBYE;
    f->world->counts[OPENED]++;
    if (!json_text(json_member(grant, "url"), url, sizeof url) ||
        !json_text(json_member(grant, "ticket"), ticket, sizeof ticket) ||
        !(path = address_of(url, &address, host, sizeof host))) {
        give_up(f, 0, "Core names a stream that is not http://address:port/path");
        return;
    }
    text_format(&request, "GET %s?ticket=%s&lastEventId=", path, ticket);
    text_add_escaped(&request, f->channel);
    text_format(&request, "%%40%lld HTTP/1.1\r\nhost: %s\r\naccept: text/event-stream\r\n\r\n", f->seq,
                host);
    if (connection_is_free(&f->stream, &address) ||
        connection_open(&f->stream, f->world->poller, &address, f->world->source))
        connection_send(&f->stream, request.at, request.len);
    else {
        f->world->counts[FAILED]++;
        f->stream_deadline = NEVER;
        stream_has_failed(f, now, 0, 0);
    }
    text_free(&request);
}

/* Apply an order event. Returns 1 if it was the next one or a duplicate, 0 if there is a gap before
 * it. */
static int take_event(struct follower *f, const char *event, double now) {
    long long seq = json_number(json_member(event, "seq"));
    if (seq < 0 || f->seq < 0 || seq > f->seq + 1) return 0;
    if (seq <= f->seq) return 1;
    char order[64] = "", reference[96] = "";
    json_text(json_member(event, "order_id"), order, sizeof order);
    json_text(json_member(json_member(event, "data"), "reference"), reference, sizeof reference);
    f->seq = seq;
    f->stream_events++;
    f->world->counts[DELIVERED]++;
    text_format(&f->world->report, "e %ld %lld %s %lld %.6f %s\n", f->number, seq, order,
                json_number(json_member(event, "order_version")), now, reference);
    return 1;
}

static void take_hello(struct follower *f, const char *data, double now) {
    char epoch[sizeof f->epoch];
    if (f->hello_at >= 0) return;
    if (!json_text(json_member(data, "epoch"), epoch, sizeof epoch) || strcmp(epoch, f->epoch)) {
        drop_stream(f);
        stream_has_failed(f, now, 0, 0);
        return;
    }
    f->world->counts[HELLO]++;
    f->hello_at = now;
    f->stream_deadline = now + WATERMARK_TIMEOUT;
    json_text(json_member(data, "watermark"), f->watermark, sizeof f->watermark);
    if (f->state == CONNECTING) {
        go_live(f, now);
        return;
    }
    /* A sync that began before the hello may lack events that were published before it. */
    if (f->sync_deadline != NEVER) connection_close(&f->core);
    f->sync_deadline = NEVER;
    sync_now(f, now);
}

static void take_heartbeat(struct follower *f, const char *data, double now) {
    char watermark[sizeof f->watermark];
    if (!json_text(json_member(data, "watermark"), watermark, sizeof watermark) ||
        !strcmp(watermark, f->watermark))
        return;
    strcpy(f->watermark, watermark);
    f->stream_deadline = now + WATERMARK_TIMEOUT;
    if (f->state == STREAMING) f->is_certain = 1;
}

static void stream_event(void *owner, struct connection *connection, const char *type, const char *data) {
    struct follower *f = owner;
    double now = now_s();
    (void)connection;
    if (!strcmp(type, "hello"))
        take_hello(f, data, now);
    else if (!strcmp(type, "bye")) {
        char reason[32] = "";
        long long ms = json_number(json_member(data, "reconnect_after_ms"));
        json_text(json_member(data, "reason"), reason, sizeof reason);
        f->goodbye = strcmp(reason, "degraded") ? BYE : DEGRADED;
        f->reconnect_ms = (int)fmin(fmax(ms, 0), MAX_RECONNECT_MS);
    } else if (!strcmp(type, "sync-required")) {
        f->goodbye = SYNC_REQUIRED;
    } else if (f->hello_at < 0)
        return; /* heartbeats and events before the hello are ignored */
    else if (!strcmp(type, "heartbeat"))
        take_heartbeat(f, data, now);
    else if (!strncmp(type, "order.", 6) && !take_event(f, data, now)) {
        drop_stream(f);
        sync_again(f, now);
    }
    settle(f);
}

static void stream_said_goodbye(struct follower *f, double now) {
    int too_short = f->hello_at < 0 || (now - f->stream_began < SHORT_STREAM && !f->stream_events);
    double after = f->reconnect_ms / 1000.0;
    drop_stream(f);
    if (f->goodbye == SYNC_REQUIRED)
        sync_again(f, now);
    else if (f->goodbye == DEGRADED) {
        f->kept_away_until = now + after;
        go_poll(f, now, fmax(after, stream_delay(f, now)));
    } else if (too_short)
        stream_has_failed(f, now, 0, 0);
    else if (f->state == POLLS)
        go_poll(f, now, after);
    else
        go_sync(f, now, after);
}

static void stream_complete(void *owner, struct connection *connection, const struct answer *answer) {
    struct follower *f = owner;
    double now = now_s();
    int status = answer->status;
    (void)connection;
    if (f->goodbye) {
        stream_said_goodbye(f, now);
        settle(f);
        return;
    }
    drop_stream(f);
    int is_busy = status == 429 || status == 503;
    f->world->counts[is_busy ? REFUSED : FAILED]++;
    if (status == 401 || status == 421)
        sync_again(f, now);
    else
        stream_has_failed(f, now, is_busy, is_busy ? answer->retry_after : 0);
    settle(f);
}

static void stream_broken(void *owner, struct connection *connection, const char *why) {
    struct follower *f = owner;
    double now = now_s();
    (void)connection, (void)why;
    if (f->goodbye)
        stream_said_goodbye(f, now);
    else {
        f->world->counts[FAILED]++;
        drop_stream(f);
        stream_has_failed(f, now, 0, 0);
    }
    settle(f);
}

/* ── syncs: client_sdk/machine/sync_state.py ───────────────────────────────────────────────── */

/* Apply what the answer to a sync contains of the channel. Returns whether it is valid. */
static int take_channel(struct follower *f, const char *answer, double now) {
    const char *found = json_first(json_member(answer, "channels")), *event;
    char channel[256], reason[64];
    if (!json_text(json_member(found, "channel"), channel, sizeof channel) ||
        strcmp(channel, f->channel))
        return 0;
    long long head = json_number(json_member(found, "head"));
    const char *snapshot = json_member(found, "snapshot");
    if (json_text(json_member(found, "reset"), reason, sizeof reason)) {
        long long begins = json_number(json_member(snapshot, "head"));
        if (begins < 0) return 0;
        if (strcmp(reason, "retention") || f->seq < begins) {
            f->seq = begins;
            text_format(&f->world->report, "b %ld %lld %s\n", f->number, begins, reason);
        }
    } else if (f->seq < 0 || head < f->seq)
        return 0;
    for (event = json_first(json_member(found, "events")); event; event = json_next(event))
        if (!take_event(f, event, now)) return 0;
    return json_is_true(json_member(found, "has_more")) || f->seq >= head;
}

static void polled(struct follower *f, const char *body, double now) {
    if (f->hello_at >= 0 && f->sync_began >= f->hello_at) {
        go_live(f, now);
        return;
    }
    f->sync_due = now + f->poll_after * uniform(f->world, 1 - POLL_JITTER, 1 + POLL_JITTER);
    if (now >= f->probe_at && f->stream_deadline == NEVER &&
        !json_is_null(json_member(body, "stream")))
        open_stream(f, body, now);
}

static void take_sync(struct follower *f, const char *body, double now) {
    char epoch[sizeof f->epoch];
    if (!json_text(json_member(body, "epoch"), epoch, sizeof epoch)) {
        sync_has_failed(f, now, 0);
        return;
    }
    if (strcmp(epoch, f->epoch)) {
        if (*f->epoch) {
            drop_stream(f);
            f->is_certain = 0;
        }
        strcpy(f->epoch, epoch);
        f->seq = -1;
    }
    if (!take_channel(f, body, now)) {
        sync_has_failed(f, now, 0);
        return;
    }
    if (f->sync_backoff.failures >= LONG_FAULT) {
        f->stream_backoff.failures = 0;
        f->probe_at = fmax(fmin(f->probe_at, now), f->kept_away_until);
    }
    f->sync_backoff.failures = 0;
    long long poll_ms = json_number(json_member(body, "poll_after_ms"));
    f->poll_after = fmin(fmax(poll_ms, 100), 300000) / 1000;
    if (json_is_true(json_member(body, "has_more"))) {
        sync_now(f, now);
        return;
    }
    f->is_certain = 1;
    if (f->state == POLLS)
        polled(f, body, now);
    else if (json_is_null(json_member(body, "stream")))
        go_poll(f, now, stream_delay(f, now));
    else {
        f->state = CONNECTING;
        open_stream(f, body, now);
    }
}

static void sync_complete(void *owner, struct connection *connection, const struct answer *answer) {
    struct follower *f = owner;
    double now = now_s();
    int status = answer->status, is_busy = status == 429 || status == 503;
    (void)connection;
    f->sync_deadline = NEVER;
    if (status == 200) {
        f->world->counts[SYNCED]++;
        text_format(&f->world->report, "s %.6f\n", now - f->sync_began);
        take_sync(f, answer->body, now);
    } else if (status >= 400 && status < 500 && status != 404 && !is_busy)
        give_up(f, status, "Core refused a sync");
    else {
        f->world->counts[is_busy ? REFUSED : FAILED]++;
        sync_has_failed(f, now, is_busy ? answer->retry_after : 0);
    }
    settle(f);
}

static void sync_broken(void *owner, struct connection *connection, const char *why) {
    struct follower *f = owner;
    (void)connection, (void)why;
    f->sync_deadline = NEVER;
    f->world->counts[FAILED]++;
    sync_has_failed(f, now_s(), 0);
    settle(f);
}

static void no_event(void *owner, struct connection *connection, const char *type, const char *data) {
    (void)owner, (void)connection, (void)type, (void)data; /* Core's answers are no event streams */
}

static const struct handlers CORE_HANDLERS = {no_event, sync_complete, sync_broken};
static const struct handlers STREAM_HANDLERS = {stream_event, stream_complete, stream_broken};

/* ── beginning, timers, cuts ───────────────────────────────────────────────────────────────── */

void follower_init(struct follower *f, struct world *world, long number, double starts_at) {
    f->world = world;
    f->number = number;
    f->seq = -1;
    f->core.fd = f->stream.fd = -1;
    f->core.handlers = &CORE_HANDLERS;
    f->stream.handlers = &STREAM_HANDLERS;
    f->core.owner = f->stream.owner = f;
    f->sync_due = starts_at;
    f->sync_deadline = f->stream_deadline = NEVER;
    f->hello_at = f->sync_backoff.well_since = f->stream_backoff.well_since = -1;
    f->lost_at = -INFINITY;
    f->poll_after = 1;
    timers_set(world->timers, f);
}

double follower_deadline(const struct follower *f) {
    return fmin(f->sync_due, fmin(f->sync_deadline, f->stream_deadline));
}

void follower_tick(struct follower *f, double now) {
    if (f->state == NOT_STARTED) {
        f->state = SYNCING;
        f->world->modes[STARTING]++;
    }
    if (now >= f->sync_deadline) {
        connection_close(&f->core);
        f->sync_deadline = NEVER;
        f->world->counts[FAILED]++;
        sync_has_failed(f, now, 0);
    }
    if (now >= f->stream_deadline) {
        int said_hello = f->hello_at >= 0;
        f->world->counts[FAILED]++;
        drop_stream(f);
        connection_close(&f->stream);
        if (said_hello)
            go_poll(f, now, stream_delay(f, now));
        else
            stream_has_failed(f, now, 0, 0);
    }
    if (now >= f->sync_due) sync_now(f, now);
    settle(f);
}

void follower_cut(struct follower *f) {
    int awaited_answer = f->core.awaits_answer;
    connection_close(&f->core);
    if (awaited_answer) sync_broken(f, &f->core, "it was cut");
    awaited_answer = f->stream.awaits_answer;
    connection_close(&f->stream);
    if (awaited_answer) stream_broken(f, &f->stream, "it was cut");
}
