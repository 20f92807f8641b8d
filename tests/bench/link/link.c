/* A long and lossy link between two networks of this machine, for the kernel's own TCP to cope with.
 * tests/bench/link/program.py starts it, and reads what it says.
 *
 *   link NEAR_ADDRESS FAR_ADDRESS DELAY_US LOSS SEED
 *
 * It makes a TUN device with NEAR_ADDRESS in the network namespace in which it was started, then a namespace of
 * its own, the far one, and a TUN device with FAR_ADDRESS there. What goes into the one comes out of the
 * other DELAY_US later, unless it is lost: each packet is, with the probability LOSS, in each direction by
 * a sequence of its own that SEED begins. It says "up", and then obeys its standard input:
 *   count   print as JSON what came into each direction so far, and what did not come out
 * It ends with its input, and takes both devices and the far namespace with it.
 */
#define _GNU_SOURCE
#include "delay_line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEVICE "yabam-link"
#define NETMASK "255.255.255.252"
#define MAX_PACKET 65536
/* 8,000 clients are sent a packet each within milliseconds: the devices and the lines must hold them. */
#define DEVICE_QUEUE 65536
#define ROOM 262144
/* So many of one kind in a row, so that no direction waits long for the other. */
#define IN_A_ROW 64

enum { THERE, BACK, DIRECTIONS };

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void must(int done, const char *what) {
    if (done >= 0) return;
    perror(what);
    exit(1);
}

static void set_address(int fd, unsigned long request, const char *address) {
    struct ifreq asked = {.ifr_name = DEVICE};
    struct sockaddr_in *in = (struct sockaddr_in *)&asked.ifr_addr;
    in->sin_family = AF_INET;
    must(inet_pton(AF_INET, address, &in->sin_addr) == 1 ? 0 : -1, address);
    must(ioctl(fd, request, &asked), "the address of a TUN device");
}

/* A device in the present namespace; what is read from it was sent there, what is written to it arrives there. */
static int tun(const char *address) {
    struct ifreq asked = {.ifr_name = DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI};
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    must(device, "/dev/net/tun");
    must(ioctl(device, TUNSETIFF, &asked), "a TUN device");
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(any, "a socket");
    set_address(any, SIOCSIFADDR, address);
    set_address(any, SIOCSIFNETMASK, NETMASK);
    asked.ifr_qlen = DEVICE_QUEUE;
    must(ioctl(any, SIOCSIFTXQLEN, &asked), "the queue of a TUN device");
    asked.ifr_flags = IFF_UP | IFF_RUNNING;
    must(ioctl(any, SIOCSIFFLAGS, &asked), "a TUN device's start");
    close(any);
    return device;
}

static void take(struct delay_line *line, int device) {
    static unsigned char bytes[MAX_PACKET];
    for (int i = 0; i < IN_A_ROW; i++) {
        ssize_t len = read(device, bytes, sizeof bytes);
        if (len <= 0) return;
        /* The kernel also announces itself by IPv6, at times of its own: that would shift the seed's sequence. */
        if (bytes[0] >> 4 == 4) line_take(line, bytes, len, now_ns());
    }
}

static void bring(struct delay_line *line, int device) {
    uint32_t len;
    const void *bytes;
    for (int i = 0; i < IN_A_ROW && (bytes = line_due(line, now_ns(), &len)); i++) {
        if (write(device, bytes, len) < 0) line->no_room++;
        line_drop(line);
    }
}

static void report(const struct delay_line *lines) {
    static const char *names[] = {"there", "back"};
    for (int i = 0; i < DIRECTIONS; i++)
        printf("%s\"%s\":{\"came\":%llu,\"lost\":%llu,\"no_room\":%llu}%s", i ? "," : "{", names[i],
               (unsigned long long)lines[i].came, (unsigned long long)lines[i].lost,
               (unsigned long long)lines[i].no_room, i ? "}\n" : "");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    uint64_t delay = strtoull(argv[3], NULL, 10) * 1000, seed = strtoull(argv[5], NULL, 10);
    double loss = strtod(argv[4], NULL);
    struct delay_line lines[DIRECTIONS];
    for (int i = 0; i < DIRECTIONS; i++) line_begin(&lines[i], delay, loss, 2 * seed + i, ROOM);
    int near = tun(argv[1]);
    must(unshare(CLONE_NEWNET), "a network namespace");
    int far = tun(argv[2]);
    puts("up");
    fflush(stdout);
    struct pollfd ready[] = {
        {.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (;;) {
        uint64_t there = line_next(&lines[THERE]), back = line_next(&lines[BACK]);
        uint64_t next = there < back ? there : back, now = now_ns();
        uint64_t wait = next > now ? next - now : 0;
        struct timespec until = {.tv_sec = wait / 1000000000u, .tv_nsec = wait % 1000000000u};
        if (ppoll(ready, 3, next == UINT64_MAX ? NULL : &until, NULL) < 0 && errno != EINTR)
            return perror("ppoll"), 1;
        if (ready[0].revents & POLLIN) take(&lines[THERE], near);
        if (ready[1].revents & POLLIN) take(&lines[BACK], far);
        bring(&lines[THERE], far);
        bring(&lines[BACK], near);
        if (ready[2].revents) {
            char line[16];
            if (read(0, line, sizeof line) <= 0) return 0;
            report(lines);
        }
    }
}
