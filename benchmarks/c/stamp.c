// stamp NAME SOCKET: the program of a measured container. The first thing it does is to read the clock and to send
// "NAME nanoseconds" to SOCKET; who listens there learns its pid from the kernel. Then it waits for SIGTERM.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void end(int signal) {
    (void)signal;
    _exit(0);  // PID 1 gets only the signals it has a handler for
}

int main(int argc, char **argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc != 3) return 2;
    signal(SIGTERM, end);
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    if (strlen(argv[2]) >= sizeof peer.sun_path) return 2;
    strcpy(peer.sun_path, argv[2]);
    char text[256];
    int length = snprintf(text, sizeof text, "%s %lld", argv[1], now.tv_sec * 1000000000LL + now.tv_nsec);
    int channel = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (sendto(channel, text, length, 0, (struct sockaddr *)&peer, sizeof peer) != length) return 1;
    for (;;) pause();
}
