/* One HTTP/1.1 connection of a client (RFC 9112), one request at a time. An answer may be an event
 * stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
#ifndef CONNECTION_H
#define CONNECTION_H
#include "text.h"

#include <netinet/in.h>

enum { MAX_TYPE_BYTES = 32 };

struct answer {
    int status;
    int retry_after; /* seconds; 0: the header is missing */
    const char *body; /* ends with NUL */
};

struct connection;

/* Callbacks of a connection; each gets its `owner`. */
struct handlers {
    /* An event of a stream has arrived; both texts end with NUL. */
    void (*event)(void *owner, struct connection *connection, const char *type, const char *data);
    /* The answer is complete. Of a stream: it has ended properly. */
    void (*complete)(void *owner, struct connection *connection, const struct answer *answer);
    /* The connection was lost before the answer was complete, or the answer is not HTTP. */
    void (*broken)(void *owner, struct connection *connection, const char *why);
};

struct connection {
    int fd; /* -1: there is none */
    unsigned closings; /* how often it was closed: shows whether a callback has closed it */
    int awaits_answer; /* whether a request was sent whose answer is not complete */
    int is_reusable; /* whether another request can be sent on it */
    struct sockaddr_in address;
    const struct handlers *handlers;
    void *owner;
    struct text out, in, lines; /* not sent yet; not parsed yet; the body so far */
    enum { HEAD, BODY, CHUNK, CHUNK_END, LAST } part;
    size_t left; /* bytes of the body or of the chunk that are still to come */
    int status, retry_after, is_chunked, is_stream, closes;
};

/* Begin to connect, from the local address `source` if it is not 0. Returns 0 if that failed. */
int connection_open(struct connection *c, int poller, const struct sockaddr_in *address,
                    in_addr_t source);
/* Whether it is connected to this address, or connects to it, and can take a request now. */
int connection_is_free(const struct connection *c, const struct sockaddr_in *address);
/* Send a request; its answer goes to the handlers. */
void connection_send(struct connection *c, const char *request, size_t len);
/* Close it, without a callback. */
void connection_close(struct connection *c);
/* Handle what epoll has reported about it. */
void connection_handle(struct connection *c, unsigned events);
#endif
