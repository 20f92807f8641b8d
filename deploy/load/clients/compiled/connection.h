/* One HTTP/1.1 connection of a client (RFC 9112), and the event stream that an answer may be
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html). One request at a time. */
#ifndef CONNECTION_H
#define CONNECTION_H
#include "text.h"

#include <netinet/in.h>

enum { TYPE_ROOM = 32 };

struct answer {
    int status;
    int retry_after; /* seconds; 0: it says nothing */
    const char *body; /* ends with NUL */
};

struct connection;

struct told {
    /* An event of a stream; both texts end with NUL. */
    void (*event)(void *whom, struct connection *from, const char *type, const char *data);
    /* The answer is whole. A stream has ended as it should. */
    void (*whole)(void *whom, struct connection *from, const struct answer *answer);
    /* It broke off; nothing more comes. */
    void (*broken)(void *whom, struct connection *from, const char *why);
};

struct connection {
    int fd; /* -1: there is none */
    unsigned closings; /* so far: tells whether it is still the same one after somebody was told */
    int is_asked; /* whether an answer is to come */
    int keeps; /* whether it may serve another request */
    struct sockaddr_in address;
    const struct told *told;
    void *whom;
    struct text out, in, lines;
    enum { HEAD, BODY, CHUNK, CHUNK_END, LAST } part;
    size_t left; /* of the body or the chunk */
    int status, retry_after, is_chunked, is_stream, closes;
};

/* Begin to connect, from this address of ours if it is not 0. Returns whether that was possible. */
int connection_open(struct connection *c, int poller, const struct sockaddr_in *address,
                    in_addr_t source);
/* Whether it leads there and may be asked now. */
int connection_is_free(const struct connection *c, const struct sockaddr_in *address);
/* Send a request; its answer is told. */
void connection_ask(struct connection *c, const char *request, size_t len);
/* Close it; nothing is told. */
void connection_close(struct connection *c);
/* Something has happened to it: epoll's events. */
void connection_handle(struct connection *c, unsigned events);
#endif
