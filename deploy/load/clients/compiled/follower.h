/* A client of the load test. It follows the rules of client_sdk/machine (docs/protocol.md): sync,
 * connect, follow, reconnect, and poll when streams fail. */
#ifndef FOLLOWER_H
#define FOLLOWER_H
#include "connection.h"

enum mode { STARTING, LIVE, POLLING, OFFLINE, MODES };
enum count { SYNCED, OPENED, HELLO, DELIVERED, FAILED, REFUSED, COUNTS };

/* What all clients of the process share. */
struct world {
    int poller; /* epoll's descriptor */
    in_addr_t source; /* the local address that clients connect from; 0: any */
    struct sockaddr_in core;
    char core_host[80];
    unsigned long long random_state;
    long modes[MODES], counts[COUNTS];
    struct text report; /* lines for standard output: see main.c */
    struct timers *timers;
};

struct backoff { int failures; double well_since; /* below 0: it does not work now */ };

struct follower {
    struct world *world;
    long number;
    char *channel, *device, *token; /* a guest's client has no device: NULL */
    enum mode mode;
    enum { NOT_STARTED, SYNCING, CONNECTING, STREAMING, POLLS, GONE } state;
    struct connection core, stream;
    long long seq; /* of the last applied event; -1: it has no snapshot yet */
    char epoch[40], watermark[40];
    enum { NO_GOODBYE, BYE, DEGRADED, SYNC_REQUIRED } goodbye; /* the stream's last message */
    int reconnect_ms; /* `reconnect_after_ms` of the bye */
    double sync_due, sync_deadline, sync_began, stream_deadline, stream_began, hello_at, probe_at,
        kept_away_until, lost_at, poll_after;
    long stream_events;
    int is_certain; /* whether it has had all events once, in this epoch */
    struct backoff sync_backoff, stream_backoff;
    size_t timer_place; /* its index in the heap of timers; 0: it has none */
    double timer_at;
};

void follower_init(struct follower *f, struct world *world, long number, double starts_at);
/* The time at which `follower_tick` must be called. */
double follower_deadline(const struct follower *f);
void follower_tick(struct follower *f, double now);
/* Close its connections, as a short failure of the network would. */
void follower_cut(struct follower *f);

/* Seconds of CLOCK_MONOTONIC, which all processes of a machine share. */
double now_s(void);
void timers_set(struct timers *timers, struct follower *f);
#endif
