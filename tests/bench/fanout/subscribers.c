/* Many subscribers over SSE or WebSocket in one process with epoll: too cheap to affect the measurement.
 *
 *   subscribers HOST_PORT REQUESTS_FILE [SOURCE_ADDRESS [SLOW_EVERY [HOST_ADDRESS]]]
 *
 * They connect from SOURCE_ADDRESS, so that several processes have enough ports. One of SLOW_EVERY (0: none) reads
 * one byte a second once it was answered; its events do not count, but whether the server disconnected it does.
 * HOST_ADDRESS is loopback if it is not given; if it is, it may be far, so more of them connect at once.
 * The file contains one request head per connection, each ended by an empty line. The program connects
 * them all, prints "connected N" once each was answered with 200 or 101, and then obeys its standard input:
 *   mark   print what was received since the last mark, as JSON, and count from 0 again
 *   count  print how many events were received since then
 * An event counts when its data holds "t":NANOSECONDS, the publisher's CLOCK_REALTIME.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAIL 64
#define MOST_LATENCIES 4000000
#define AT_ONCE 256
#define AT_ONCE_FAR 1024

struct conn { int fd, asked, answered, slow, tail_len; char tail[TAIL], *request; };

static uint32_t *latencies; /* microseconds */
static size_t latency_count, event_count;
static int answered, refused, closed_count, slow_closed;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void take(struct conn *c, char *data, size_t len, uint64_t now) {
    /* before data are TAIL bytes of room, which contain the end of the last read */
    char *begin = data - c->tail_len, *end = data + len, *at = begin;
    memcpy(begin, c->tail, c->tail_len);
    while ((at = memmem(at, end - at, "\"t\":", 4)) && end - at > 25) {
        uint64_t sent = strtoull(at + 4, NULL, 10);
        event_count++;
        if (latency_count < MOST_LATENCIES)
            latencies[latency_count++] = now > sent ? (uint32_t)((now - sent) / 1000) : 0;
        at += 4;
    }
    c->tail_len = 0;
    if (at) { /* a marker that is not complete yet */
        c->tail_len = end - at;
        memcpy(c->tail, at, c->tail_len);
    } else if (end - begin >= 3) {
        c->tail_len = 3;
        memcpy(c->tail, end - 3, 3);
    }
}

static void report(void) {
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    uint32_t p50 = latency_count ? latencies[latency_count / 2] : 0;
    uint32_t p99 = latency_count ? latencies[(size_t)(latency_count * 0.99)] : 0;
    printf("{\"events\":%zu,\"p50_us\":%u,\"p99_us\":%u,\"closed\":%d,\"slow_closed\":%d}\n", event_count,
           p50, p99, closed_count, slow_closed);
    fflush(stdout);
    latency_count = event_count = 0;
}

/* Returns whether the request was sent. */
static int ask(struct conn *c) {
    ssize_t len = strstr(c->request, "\r\n\r\n") + 4 - c->request;
    c->asked = 1;
    return write(c->fd, c->request, len) == len;
}

/* Read one byte of each slow connection. A read only notices a disconnect after all bytes before it,
 * so this also checks the state of the socket. */
static void sip(struct conn *conns, int opened) {
    for (int i = 0; i < opened; i++) {
        struct conn *c = &conns[i];
        if (!c->slow || !c->answered || c->fd < 0) continue;
        char byte;
        struct tcp_info info;
        socklen_t size = sizeof info;
        ssize_t got = read(c->fd, &byte, 1);
        getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
        if (got == 0 || (got < 0 && errno != EAGAIN) || info.tcpi_state != TCP_ESTABLISHED) {
            slow_closed++;
            close(c->fd);
            c->fd = -1;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 6) return 2;
    struct sockaddr_in from = {.sin_family = AF_INET};
    if (argc > 3 && !inet_aton(argv[3], &from.sin_addr)) return 2;
    int slow_every = argc > 4 ? atoi(argv[4]) : 0;
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc > 5 && !inet_aton(argv[5], &to.sin_addr)) return 2;
    int at_once = argc > 5 ? AT_ONCE_FAR : AT_ONCE;
    FILE *file = fopen(argv[2], "rb");
    if (!file) return perror(argv[2]), 2;
    fseek(file, 0, SEEK_END);
    size_t size = ftell(file);
    rewind(file);
    char *requests = malloc(size + 1);
    if (fread(requests, 1, size, file) != size) return 2;
    requests[size] = 0;
    latencies = malloc(sizeof *latencies * MOST_LATENCIES);
    int ep = epoll_create1(0), count = 0, opened = 0;
    for (char *at = requests; (at = strstr(at, "\r\n\r\n")); at += 4) count++;
    struct conn *conns = calloc(count, sizeof *conns);
    struct epoll_event in = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(ep, EPOLL_CTL_ADD, 0, &in);
    char *next = requests, *buffer = malloc(TAIL + 262144);
    struct epoll_event ready[512];
    int told = 0;
    uint64_t sipped = 0;
    for (;;) {
        while (opened < count && opened - answered < at_once) {
            struct conn *c = &conns[opened];
            c->request = next;
            c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            c->slow = slow_every && opened % slow_every == 0;
            int one = 1, few = 2304;
            if (c->slow) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
            setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
            if (argc > 3 && bind(c->fd, (struct sockaddr *)&from, sizeof from)) return perror("bind"), 1;
            int done = c->fd < 0 ? -1 : connect(c->fd, (struct sockaddr *)&to, sizeof to);
            if (done < 0 && (c->fd < 0 || errno != EINPROGRESS)) return perror("connect"), 1;
            if (!done && !ask(c)) return perror("write"), 1;
            in.events = c->asked ? EPOLLIN : EPOLLOUT;
            in.data.u32 = opened++;
            epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &in);
            next = strstr(next, "\r\n\r\n") + 4;
        }
        if (!told && answered == count) {
            told = 1;
            printf("connected %d\n", count);
            fflush(stdout);
        }
        int n = epoll_wait(ep, ready, 512, slow_every ? 100 : -1);
        uint64_t now = now_ns();
        if (slow_every && told && now - sipped >= 1000000000u) {
            sip(conns, opened);
            sipped = now;
        }
        for (int i = 0; i < n; i++) {
            if (ready[i].data.u32 == UINT32_MAX) {
                char line[16];
                ssize_t got = read(0, line, sizeof line);
                if (got <= 0) return 0;
                if (line[0] == 'c') {
                    printf("%zu\n", event_count);
                    fflush(stdout);
                } else {
                    report();
                }
                continue;
            }
            struct conn *c = &conns[ready[i].data.u32];
            if (!c->asked) { /* the connection is made, or was refused: then there is nothing to write to */
                if (!ask(c)) return perror("connect"), 1;
                in.events = EPOLLIN;
                in.data = ready[i].data;
                epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &in);
                continue;
            }
            ssize_t got = read(c->fd, buffer + TAIL, c->slow ? 64 : 262144);
            if (got <= 0) {
                if (got < 0 && errno == EAGAIN) continue;
                closed_count++;
                epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
                close(c->fd);
                continue;
            }
            if (!c->answered) {
                c->answered = 1;
                answered++;
                if (memcmp(buffer + TAIL, "HTTP/1.1 200", 12) &&
                    memcmp(buffer + TAIL, "HTTP/1.1 101", 12)) {
                    if (!refused++) {
                        buffer[TAIL + (got < 400 ? got : 400)] = 0;
                        fprintf(stderr, "refused: %s\n", buffer + TAIL);
                    }
                    return 1;
                }
            }
            if (c->slow)
                epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
            else
                take(c, buffer + TAIL, got, now);
        }
    }
}
