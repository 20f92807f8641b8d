#include "delay_line.h"

#include <stdlib.h>
#include <string.h>

struct packet { struct packet *next; uint64_t due; uint32_t len; unsigned char bytes[]; };

/* splitmix64: each seed has a sequence of its own, also 0 and neighbours. */
static uint64_t drawn(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void line_begin(struct delay_line *line, uint64_t delay_ns, double loss, uint64_t seed, size_t room) {
    *line = (struct delay_line){.delay_ns = delay_ns, .random = seed, .loss = loss, .room = room};
}

enum taken line_take(struct delay_line *line, const void *bytes, uint32_t len, uint64_t now_ns) {
    line->came++;
    /* Drawn for every packet, so that which ones are lost depends on the seed and their order alone. */
    if ((double)(drawn(&line->random) >> 11) * 0x1p-53 < line->loss) {
        line->lost++;
        return LOST;
    }
    struct packet *packet = line->waiting < line->room ? malloc(sizeof *packet + len) : NULL;
    if (!packet) {
        line->no_room++;
        return NO_ROOM;
    }
    packet->next = NULL;
    packet->due = now_ns + line->delay_ns;
    packet->len = len;
    memcpy(packet->bytes, bytes, len);
    if (line->last)
        line->last->next = packet;
    else
        line->first = packet;
    line->last = packet;
    line->waiting++;
    return TAKEN;
}

uint64_t line_next(const struct delay_line *line) {
    return line->first ? line->first->due : UINT64_MAX;
}

const void *line_due(const struct delay_line *line, uint64_t now_ns, uint32_t *len) {
    if (!line->first || line->first->due > now_ns) return NULL;
    *len = line->first->len;
    return line->first->bytes;
}

void line_drop(struct delay_line *line) {
    struct packet *packet = line->first;
    if (!packet) return;
    line->first = packet->next;
    if (!line->first) line->last = NULL;
    line->waiting--;
    free(packet);
}
