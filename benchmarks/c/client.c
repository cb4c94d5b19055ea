// client SOCKET LABEL: the floor. Starts each container with LABEL (key=value) again when it dies, and does nothing
// else: one connection on /events, one kept open for POST, no JSON library, no policy, no memory.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int reach(const char *path) {
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof peer.sun_path) exit(2);
    strcpy(peer.sun_path, path);
    int channel = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(channel, (struct sockaddr *)&peer, sizeof peer)) perror(path), exit(1);
    return channel;
}

static void say(int channel, const char *text, int length) {
    if (write(channel, text, length) != length) perror("write"), exit(1);
}

// Reads a whole answer that has no body, or is an error.
static void expect_no_content(int channel) {
    char answer[8192];
    size_t have = 0;
    do {
        ssize_t got = read(channel, answer + have, sizeof answer - 1 - have);
        if (got <= 0) fputs("the engine has closed\n", stderr), exit(1);
        have += got;
        answer[have] = 0;
    } while (!strstr(answer, "\r\n\r\n"));
    if (!strstr(answer, " 204 ")) fprintf(stderr, "%s\n", answer), exit(1);
}

static void restart(int channel, const char *line) {
    const char *id = strstr(line, "\"id\":\"");
    if (!id || !strstr(line, "\"Action\":\"die\"")) return;
    char request[256];
    int length = snprintf(request, sizeof request,
                          "POST /v1.41/containers/%.64s/start HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n", id + 6);
    say(channel, request, length);
    expect_no_content(channel);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int events = reach(argv[1]), orders = reach(argv[1]);
    char request[1024];
    int length = snprintf(request, sizeof request,
                          "GET /v1.41/events?filters=%%7B%%22type%%22%%3A%%5B%%22container%%22%%5D%%2C%%22event%%22%%3A"
                          "%%5B%%22die%%22%%5D%%2C%%22label%%22%%3A%%5B%%22%s%%22%%5D%%7D HTTP/1.1\r\nHost: docker\r\n\r\n",
                          argv[2]);
    say(events, request, length);
    static char buffer[1 << 20];
    size_t have = 0;
    int ready = 0;
    for (;;) {
        ssize_t got = read(events, buffer + have, sizeof buffer - 1 - have);
        if (got <= 0) return 1;
        have += got;
        buffer[have] = 0;
        if (!ready && (ready = strstr(buffer, "\r\n\r\n") != NULL)) puts("ready"), fflush(stdout);
        char *line = buffer, *end;
        for (; (end = memchr(line, '\n', buffer + have - line)); line = end + 1) {
            *end = 0;
            restart(orders, line);
        }
        have -= line - buffer;
        memmove(buffer, line, have);
    }
}
