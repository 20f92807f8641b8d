/* The limit: only a loop of send() over open sockets.
 *
 *   sends PORT CONNECTIONS
 *
 * Answers each request head with a stream's head. Obeys its standard input: for a number N, it sends
 * the same frame to all sockets N times and reports it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_DATA 600
static const char HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\r\n";

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    int count = atoi(argv[2]), one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in me = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    me.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&me, sizeof me) || listen(listener, 4096)) return 1;
    puts("listening");
    fflush(stdout);
    int *fds = calloc(count, sizeof *fds);
    char request[65536];
    for (int i = 0; i < count; i++) {
        fds[i] = accept(listener, NULL, NULL);
        size_t got = 0;
        while (got < 4 || memcmp(request + got - 4, "\r\n\r\n", 4)) {
            ssize_t n = read(fds[i], request + got, sizeof request - got);
            if (n <= 0) return 1;
            got += n;
        }
        if (send(fds[i], HEAD, sizeof HEAD - 1, 0) < 0) return 1;
    }
    char line[64], frame[FRAME_DATA + 256], filler[FRAME_DATA];
    memset(filler, 'x', sizeof filler);
    while (fgets(line, sizeof line, stdin)) {
        int rounds = atoi(line);
        for (int r = 0; r < rounds; r++) {
            struct timespec t;
            clock_gettime(CLOCK_REALTIME, &t);
            uint64_t ns = (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
            int len = snprintf(frame, sizeof frame,
                               "id: store:0@%d\nevent: order.placed\ndata: {\"t\":%llu,\"x\":\"%.*s\"}\n\n",
                               r, (unsigned long long)ns, FRAME_DATA - 40, filler);
            for (int i = 0; i < count; i++)
                if (send(fds[i], frame, len, MSG_NOSIGNAL) != len) return 1;
        }
        puts("sent");
        fflush(stdout);
    }
    return 0;
}
