/* Clients of a load test, in one process, by epoll: a quarter of the CPU that the SDK's own machine takes.
 * deploy/load/clients/compiled_process.py starts it, and reads what it says.
 *
 *   load-clients CORE_ADDRESS CORE_PORT SOURCE_ADDRESS SEED     (0.0.0.0: from any address)
 *
 * It obeys the lines of its standard input, and ends with it:
 *   k WHEN CHANNEL DEVICE TOKEN     a client that comes at WHEN by CLOCK_MONOTONIC; DEVICE "-": none
 *   x                               cut all connections of all clients
 * and says, in lines again:
 *   m STARTING LIVE POLLING OFFLINE                      how many clients are so, twenty times a second
 *   c SYNCED OPENED HELLO DELIVERED FAILED REFUSED       what happened since the last such line
 *   s SECONDS                                            a sync took so long
 *   b CLIENT HEAD REASON                                 a client took a snapshot
 *   e CLIENT SEQ ORDER VERSION WHEN REFERENCE            a client took an event
 *   g CLIENT STATUS WHY                                  a client does not try any more
 *   w                                                    all connections are cut, and that is in `m`
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
#define AT_ONCE 512

double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* ── timers: a heap whose first is the next ────────────────────────────────────────────────── */

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
        return; /* deadlines mostly move away: it finds out when it is due */
    f->timer_at = deadline;
    sift(f);
}

static void run_timers(void) {
    double now = now_s();
    while (timers.count && timers.heap[1]->timer_at <= now) {
        struct follower *f = timers.heap[1];
        double deadline = follower_deadline(f);
        if (deadline <= now) {
            f->timer_at = 0; /* set anew by what follows */
            follower_tick(f, now);
        } else {
            f->timer_at = deadline;
            sift(f);
        }
    }
}

/* ── who tells us, and whom we tell ────────────────────────────────────────────────────────── */

static struct world world = {.timers = &timers};
static struct follower *followers[MAX_CLIENTS];
static long follower_count;

static void say(void) {
    struct text *report = &world.report;
    long *m = world.modes, *c = world.counts;
    text_format(report, "m %ld %ld %ld %ld\n", m[STARTING], m[LIVE], m[POLLING], m[OFFLINE]);
    text_format(report, "c %ld %ld %ld %ld %ld %ld\n", c[SYNCED], c[OPENED], c[HELLO], c[DELIVERED],
                c[FAILED], c[REFUSED]);
    memset(world.counts, 0, sizeof world.counts);
    for (size_t done = 0; done < report->len;) {
        ssize_t written = write(STDOUT_FILENO, report->at + done, report->len - done);
        if (written < 0 && errno != EINTR) exit(0); /* nobody listens any more */
        if (written > 0) done += written;
    }
    report->len = 0;
}

static char *copied(const char *value) {
    char *copy = strdup(value);
    if (!copy) exit(1);
    return copy;
}

static void obey(char *line) {
    double when;
    char channel[256], device[256], token[8192];
    if (!strcmp(line, "x")) {
        for (long i = 0; i < follower_count; i++) follower_cut(followers[i]);
        say();
        text_format(&world.report, "w\n");
        say();
    } else if (sscanf(line, "k %lf %255s %255s %8191s", &when, channel, device, token) == 4 &&
               follower_count < MAX_CLIENTS) {
        struct follower *f = followers[follower_count] = allocated(sizeof *f);
        f->channel = copied(channel);
        f->device = strcmp(device, "-") ? copied(device) : NULL;
        f->token = copied(token);
        follower_make(f, &world, follower_count++, when);
    } else {
        fprintf(stderr, "load-clients: this line cannot be obeyed: %.80s\n", line);
        exit(2);
    }
}

/* Read what was told. Returns whether more may come. */
static int listen_to_input(void) {
    static struct text told;
    static char data[65536];
    ssize_t got = read(STDIN_FILENO, data, sizeof data);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (!got) return 0;
    text_add(&told, data, got);
    size_t done = 0;
    char *end;
    while (done < told.len && (end = strchr(told.at + done, '\n'))) {
        *end = 0;
        obey(told.at + done);
        done = end + 1 - told.at;
    }
    if (done) text_drop(&told, done);
    return 1;
}

int main(int count, char **given) {
    struct rlimit files;
    struct epoll_event events[AT_ONCE], input = {.events = EPOLLIN, .data.ptr = NULL};
    if (count != 5) {
        fprintf(stderr, "usage: load-clients CORE_ADDRESS CORE_PORT SOURCE_ADDRESS SEED\n");
        return 2;
    }
    signal(SIGINT, SIG_IGN); /* Ctrl-C is for whoever started us */
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    world.core = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(given[2]))};
    world.source = inet_addr(given[3]);
    world.chance = strtoull(given[4], NULL, 10) * 2654435769u + 1;
    if (inet_pton(AF_INET, given[1], &world.core.sin_addr) != 1 || world.source == INADDR_NONE) {
        fprintf(stderr, "load-clients: addresses are IPv4 addresses\n");
        return 2;
    }
    snprintf(world.core_host, sizeof world.core_host, "%s:%s", given[1], given[2]);
    world.poller = epoll_create1(EPOLL_CLOEXEC);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    epoll_ctl(world.poller, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    for (double says_at = 0;;) {
        double now = now_s(), next = says_at;
        if (timers.count) next = fmin(next, timers.heap[1]->timer_at);
        int ms = next <= now ? 0 : (int)ceil((next - now) * 1000);
        int found = epoll_wait(world.poller, events, AT_ONCE, ms);
        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr)
                connection_handle(events[i].data.ptr, events[i].events);
            else if (!listen_to_input())
                return 0;
        }
        run_timers();
        if (now_s() >= says_at) {
            say();
            says_at = now_s() + REPORT_EVERY;
        }
    }
}
