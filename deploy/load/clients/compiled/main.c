/* Many clients of a load test in one process, with epoll.
 * deploy/load/clients/compiled_process.py starts it and reads its output.
 *
 *   load-clients CORE_ADDRESS CORE_PORT SOURCE_ADDRESS SEED     (0.0.0.0: from any address)
 *
 * It executes the commands on its standard input, one in each line, and exits at its end:
 *   k WHEN CHANNEL DEVICE TOKEN     add a client that starts at WHEN by CLOCK_MONOTONIC; DEVICE "-": none
 *   x                               cut all connections of all clients
 * and writes these lines to its standard output:
 *   m STARTING LIVE POLLING OFFLINE                      how many clients are in each mode, twenty times a second
 *   c SYNCED OPENED HELLO DELIVERED FAILED REFUSED       how often each happened since the last such line
 *   s SECONDS                                            how long a sync took
 *   b CLIENT HEAD REASON                                 a client applied a snapshot
 *   e CLIENT SEQ ORDER VERSION WHEN REFERENCE            a client applied an event
 *   g CLIENT STATUS WHY                                  a client has given up
 *   w                                                    all connections are cut; the `m` before shows it
 * Clients are numbered from 0 in the order of their lines.
 */
#include "follower.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define REPORT_EVERY 0.05
#define MAX_CLIENTS 100000
#define MAX_EVENTS 512

double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* ── timers: a binary heap, the earliest first ─────────────────────────────────────────────── */

struct timers { size_t count; struct follower *heap[MAX_CLIENTS + 1]; };

static struct timers timers;

static void put(size_t place, struct follower *f) {
    timers.heap[place] = f;
    f->timer_place = place;
}

static void sift(struct follower *f) {
    size_t place = f->timer_place, child;
    while (place > 1 && timers.heap[place / 2]->timer_at > f->timer_at) {
        put(place, timers.heap[place / 2]);
        place /= 2;
    }
    while ((child = place * 2) <= timers.count) {
        if (child < timers.count && timers.heap[child + 1]->timer_at < timers.heap[child]->timer_at)
            child++;
        if (timers.heap[child]->timer_at >= f->timer_at) break;
        put(place, timers.heap[child]);
        place = child;
    }
    put(place, f);
}

void timers_set(struct timers *all, struct follower *f) {
    double deadline = follower_deadline(f);
    if (!f->timer_place) {
        f->timer_place = ++all->count;
        all->heap[f->timer_place] = f;
    } else if (f->timer_at <= deadline && f->timer_at > 0)
        return; /* deadlines are mostly postponed: run_timers sets it again when it fires */
    f->timer_at = deadline;
    sift(f);
}

static void run_timers(void) {
    double now = now_s();
    while (timers.count && timers.heap[1]->timer_at <= now) {
        struct follower *f = timers.heap[1];
        double deadline = follower_deadline(f);
        if (deadline <= now) {
            f->timer_at = 0; /* so that timers_set, which follower_tick calls, sets it again */
            follower_tick(f, now);
        } else {
            f->timer_at = deadline;
            sift(f);
        }
    }
}

/* ── commands and reports ──────────────────────────────────────────────────────────────────── */

static struct world world = {.timers = &timers};
static struct follower *followers[MAX_CLIENTS];
static long follower_count;

static void write_report(void) {
    struct text *report = &world.report;
    long *m = world.modes, *c = world.counts;
    text_format(report, "m %ld %ld %ld %ld\n", m[STARTING], m[LIVE], m[POLLING], m[OFFLINE]);
    text_format(report, "c %ld %ld %ld %ld %ld %ld\n", c[SYNCED], c[OPENED], c[HELLO], c[DELIVERED],
                c[FAILED], c[REFUSED]);
    memset(world.counts, 0, sizeof world.counts);
    for (size_t done = 0; done < report->len;) {
        ssize_t written = write(STDOUT_FILENO, report->at + done, report->len - done);
        if (written < 0 && errno != EINTR) exit(0); /* the reader has ended */
        if (written > 0) done += written;
    }
    report->len = 0;
}

static char *copied(const char *value) {
    char *copy = strdup(value);
    if (!copy) exit(1);
    return copy;
}

static void execute(char *line) {
    double when;
    char channel[256], device[256], token[8192];
    if (!strcmp(line, "x")) {
        for (long i = 0; i < follower_count; i++) follower_cut(followers[i]);
        write_report();
        text_format(&world.report, "w\n");
        write_report();
    } else if (sscanf(line, "k %lf %255s %255s %8191s", &when, channel, device, token) == 4 &&
               follower_count < MAX_CLIENTS) {
        struct follower *f = followers[follower_count] = allocated(sizeof *f);
        f->channel = copied(channel);
        f->device = strcmp(device, "-") ? copied(device) : NULL;
        f->token = copied(token);
        follower_init(f, &world, follower_count++, when);
    } else {
        fprintf(stderr, "load-clients: this is no command: %.80s\n", line);
        exit(2);
    }
}

/* Read commands and execute them. Returns 0 at the end of the input. */
static int read_input(void) {
    static struct text unread;
    static char data[65536];
    ssize_t got = read(STDIN_FILENO, data, sizeof data);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (!got) return 0;
    text_add(&unread, data, got);
    size_t done = 0;
    char *end;
    while (done < unread.len && (end = strchr(unread.at + done, '\n'))) {
        *end = 0;
        execute(unread.at + done);
        done = end + 1 - unread.at;
    }
    if (done) text_drop(&unread, done);
    return 1;
}

int main(int count, char **arguments) {
    struct rlimit files;
    struct epoll_event events[MAX_EVENTS], input = {.events = EPOLLIN, .data.ptr = NULL};
    if (count != 5) {
        fprintf(stderr, "usage: load-clients CORE_ADDRESS CORE_PORT SOURCE_ADDRESS SEED\n");
        return 2;
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is handled by the parent process */
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    world.core = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(arguments[2]))};
    world.source = inet_addr(arguments[3]);
    world.random_state = strtoull(arguments[4], NULL, 10) * 2654435769u + 1;
    if (inet_pton(AF_INET, arguments[1], &world.core.sin_addr) != 1 || world.source == INADDR_NONE) {
        fprintf(stderr, "load-clients: CORE_ADDRESS and SOURCE_ADDRESS must be IPv4 addresses\n");
        return 2;
    }
    snprintf(world.core_host, sizeof world.core_host, "%s:%s", arguments[1], arguments[2]);
    world.poller = epoll_create1(EPOLL_CLOEXEC);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    epoll_ctl(world.poller, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    for (double report_at = 0;;) {
        double now = now_s(), next = report_at;
        if (timers.count) next = fmin(next, timers.heap[1]->timer_at);
        int ms = next <= now ? 0 : (int)ceil((next - now) * 1000);
        int found = epoll_wait(world.poller, events, MAX_EVENTS, ms);
        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr)
                connection_handle(events[i].data.ptr, events[i].events);
            else if (!read_input())
                return 0;
        }
        run_timers();
        if (now_s() >= report_at) {
            write_report();
            report_at = now_s() + REPORT_EVERY;
        }
    }
}
