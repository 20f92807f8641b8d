#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define MAX_HEAD_BYTES 65536
#define MAX_BODY_BYTES (64 << 20)

int connection_open(struct connection *c, int poller, const struct sockaddr_in *address,
                    in_addr_t source) {
    connection_close(c);
    c->address = *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source) {
        /* The port is chosen at connect: a port in use towards another server can then be used again. */
        struct sockaddr_in ours = {.sin_family = AF_INET, .sin_addr.s_addr = source};
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&ours, sizeof ours)) goto failed;
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) && errno != EINPROGRESS)
        goto failed;
    struct epoll_event all = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &all)) goto failed;
    c->fd = fd;
    c->is_reusable = 1;
    return 1;
failed:
    close(fd);
    return 0;
}

int connection_is_free(const struct connection *c, const struct sockaddr_in *address) {
    return c->fd >= 0 && c->is_reusable && !c->awaits_answer && c->address.sin_port == address->sin_port &&
           c->address.sin_addr.s_addr == address->sin_addr.s_addr;
}

void connection_close(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->closings++;
    c->awaits_answer = c->is_reusable = 0;
    text_free(&c->out);
    text_free(&c->in);
    text_free(&c->lines);
}

static void broken(struct connection *c, const char *why) {
    int awaited_answer = c->awaits_answer;
    connection_close(c);
    if (awaited_answer) c->handlers->broken(c->owner, c, why);
}

static void send_rest(struct connection *c) {
    if (!c->out.len) return;
    ssize_t sent = send(c->fd, c->out.at, c->out.len, MSG_NOSIGNAL);
    if (sent > 0) text_drop(&c->out, sent);
    /* An error needs no handling here: epoll reports it, too, and recv returns it. */
}

void connection_send(struct connection *c, const char *request, size_t len) {
    c->awaits_answer = 1;
    c->part = HEAD;
    text_free(&c->lines);
    text_add(&c->out, request, len);
    send_rest(c); /* sends nothing while it still connects: EPOLLOUT calls it again */
}

/* ── the head ──────────────────────────────────────────────────────────────────────────────── */

static const char *header(const char *line, const char *name) {
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) || line[len] != ':') return NULL;
    line += len + 1;
    return line + strspn(line, " \t");
}

/* Parse the status line and the headers, up to `end`. Returns whether the answer can be read: its
 * status is final, and its length is given and within the limit. */
static int parse_head(struct connection *c, char *end) {
    char *line = c->in.at, *after;
    c->status = c->retry_after = c->is_chunked = c->is_stream = c->closes = 0;
    c->left = 0;
    int has_length = 0;
    if (sscanf(line, "HTTP/1.1 %3d", &c->status) != 1 || c->status < 200) return 0;
    while ((after = strstr(line, "\r\n")) && after < end) {
        const char *value;
        line = after + 2;
        if ((value = header(line, "content-length"))) {
            c->left = strtoull(value, NULL, 10);
            has_length = 1;
        } else if ((value = header(line, "transfer-encoding")))
            c->is_chunked = !strncasecmp(value, "chunked", 7);
        else if ((value = header(line, "content-type")))
            c->is_stream = c->status == 200 && !strncasecmp(value, "text/event-stream", 17);
        else if ((value = header(line, "retry-after")))
            c->retry_after = atoi(value);
        else if ((value = header(line, "connection")))
            c->closes = !strncasecmp(value, "close", 5);
    }
    c->part = c->is_chunked ? CHUNK : BODY;
    return (has_length || c->is_chunked) && c->left <= MAX_BODY_BYTES;
}

/* ── the stream ────────────────────────────────────────────────────────────────────────────── */

/* Report the event that these lines describe; the empty line that ends it is not among them. */
static void report_event(struct connection *c, char *block) {
    char type[MAX_TYPE_BYTES] = "", *data = NULL, *line = block, *next;
    for (; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        if (!strncmp(line, "event: ", 7))
            snprintf(type, sizeof type, "%s", line + 7);
        else if (!strncmp(line, "data: ", 6))
            data = line + 6; /* our servers write each event's data in one line */
    }
    if (data) c->handlers->event(c->owner, c, type, data);
}

static void report_events(struct connection *c) {
    size_t done = 0;
    char *end;
    unsigned closings = c->closings;
    while (c->lines.len > done && (end = strstr(c->lines.at + done, "\n\n"))) {
        char *block = c->lines.at + done;
        done = end + 2 - c->lines.at;
        *end = 0;
        report_event(c, block);
        if (c->closings != closings || !c->awaits_answer) return; /* the handler has closed it */
    }
    if (done) text_drop(&c->lines, done);
}

/* ── the body ──────────────────────────────────────────────────────────────────────────────── */

static void complete(struct connection *c) {
    struct text body = c->lines;
    struct answer answer = {c->status, c->retry_after, body.at ? body.at : ""};
    c->lines = (struct text){0};
    c->awaits_answer = 0;
    if (c->closes) connection_close(c);
    c->handlers->complete(c->owner, c, &answer);
    text_free(&body);
}

/* Parse the next part of the received bytes. Returns 1: there may be another part, 0: the answer is
 * complete or more bytes must arrive, -1: it is not HTTP. */
static int parse_part(struct connection *c) {
    struct text *in = &c->in;
    char *end;
    if (!in->len) return 0;
    switch (c->part) {
    case HEAD:
        if (!(end = strstr(in->at, "\r\n\r\n"))) return in->len > MAX_HEAD_BYTES ? -1 : 0;
        if (!parse_head(c, end)) return -1;
        text_drop(in, end + 4 - in->at);
        if (c->part == BODY && !c->left) {
            complete(c);
            return 0;
        }
        return 1;
    case CHUNK:
        if (!(end = strstr(in->at, "\r\n"))) return in->len > 32 ? -1 : 0;
        c->left = strtoull(in->at, NULL, 16);
        if (c->left > MAX_BODY_BYTES) return -1;
        c->part = c->left ? BODY : LAST;
        text_drop(in, end + 2 - in->at);
        return 1;
    case BODY: {
        size_t len = in->len < c->left ? in->len : c->left;
        text_add(&c->lines, in->at, len);
        text_drop(in, len);
        c->left -= len;
        if (c->left) return 0;
        c->part = CHUNK_END;
        if (!c->is_chunked) {
            complete(c);
            return 0;
        }
        return 1;
    }
    case CHUNK_END:
    case LAST:
        if (in->len < 2) return 0;
        if (memcmp(in->at, "\r\n", 2)) return -1;
        text_drop(in, 2);
        if (c->part == LAST) {
            complete(c);
            return 0;
        }
        c->part = CHUNK;
        return 1;
    }
    return -1;
}

static void parse(struct connection *c) {
    unsigned closings = c->closings;
    int more = 1;
    while (more > 0 && c->closings == closings && c->awaits_answer) {
        more = parse_part(c);
        if (more > 0 && c->is_stream && c->part == CHUNK_END) report_events(c);
    }
    if (c->closings != closings) return;
    if (more < 0)
        broken(c, "the answer is not HTTP");
    else if (!c->awaits_answer && c->in.len)
        connection_close(c); /* bytes that belong to no request */
}

void connection_handle(struct connection *c, unsigned events) {
    static char data[READ_BYTES];
    unsigned closings = c->closings;
    if (c->fd < 0) return;
    if (events & EPOLLOUT) send_rest(c);
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
    for (;;) {
        ssize_t got = recv(c->fd, data, sizeof data, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            broken(c, got ? strerror(errno) : "the connection was closed");
            return;
        }
        text_add(&c->in, data, got);
        parse(c);
        if (c->closings != closings) return;
        /* A short read has emptied the socket (epoll(7)). The end of the connection still has to be
         * read, if epoll has reported it. */
        if ((size_t)got < sizeof data && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
    }
}
