/* Packets on their way in one direction: each is lost by chance, or comes out after the delay.
 * Pure: the caller says what time it is, and the chance is a generator that begins with a seed. */
#ifndef DELAY_LINE_H
#define DELAY_LINE_H
#include <stddef.h>
#include <stdint.h>

enum taken { TAKEN, LOST, NO_ROOM };

struct packet;
struct delay_line {
    uint64_t delay_ns, random;
    double loss;
    size_t room, waiting;
    struct packet *first, *last;
    uint64_t came, lost, no_room; /* lost: by chance; no_room: beside those */
};

void line_begin(struct delay_line *line, uint64_t delay_ns, double loss, uint64_t seed, size_t room);
/* A packet comes in. Its bytes are copied. */
enum taken line_take(struct delay_line *line, const void *bytes, uint32_t len, uint64_t now_ns);
/* When the first packet is to come out; UINT64_MAX: none is on its way. */
uint64_t line_next(const struct delay_line *line);
/* The first packet if it is time, else NULL. It stays the first until it is dropped. */
const void *line_due(const struct delay_line *line, uint64_t now_ns, uint32_t *len);
void line_drop(struct delay_line *line);
#endif
