/* A client of the load test, by the rules of client_sdk/machine (docs/protocol.md): sync, connect, follow,
 * come back, poll where streams fail. No clock and no socket of its own: `world` has them. */
#ifndef FOLLOWER_H
#define FOLLOWER_H
#include "connection.h"

enum mode { STARTING, LIVE, POLLING, OFFLINE, MODES };
enum count { SYNCED, OPENED, HELLO, DELIVERED, FAILED, REFUSED, COUNTS };

struct world {
    int poller;
    in_addr_t source; /* connects from there; 0: from anywhere */
    struct sockaddr_in core;
    char core_host[80];
    unsigned long long chance; /* of the random numbers */
    long modes[MODES], counts[COUNTS];
    struct text report; /* lines for who reads our output: see main.c */
    struct timers *timers;
};

struct backoff { int failures; double well_since; /* below 0: it does not work */ };

struct follower {
    struct world *world;
    long number;
    char *channel, *device, *token; /* device: NULL at a table */
    enum mode mode;
    enum { BEFORE, SYNCING, CONNECTING, STREAMING, POLLS, GONE } state;
    struct connection core, stream;
    long long seq; /* -1: it has no position */
    char epoch[40], watermark[40];
    enum { NO_WORD, BYE, DEGRADED, SYNC_REQUIRED } last_word; /* of the stream */
    int last_ms; /* of a bye */
    double sync_due, sync_deadline, sync_began, stream_deadline, stream_began, hello_at, probe_at,
        kept_away_until, lost_at, poll_after;
    long stream_events;
    int is_certain;
    struct backoff sync_backoff, stream_backoff;
    size_t timer_place; /* in the heap; 0: nowhere */
    double timer_at;
};

void follower_make(struct follower *f, struct world *world, long number, double comes_at);
/* When it wants `follower_tick`. */
double follower_deadline(const struct follower *f);
void follower_tick(struct follower *f, double now);
/* Its connections are gone, as by a network that fails for a moment. */
void follower_cut(struct follower *f);

/* Seconds of CLOCK_MONOTONIC, which all processes of a machine share. */
double now_s(void);
void timers_set(struct timers *timers, struct follower *f);
#endif
