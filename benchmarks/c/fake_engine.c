// fake_engine SOCKET...: as much of the Docker API v1.41 as a supervisor needs to boot, on each SOCKET a separate
// engine with containers of its own. Nothing runs in them: they change their state and tell it, without a delay.
//
// Orders come on stdin, one a line; the end of stdin ends the program:
//   die ENGINE NAME      a container dies with exit code 1. Answers with the nanoseconds from just before the event
//                        is written to just after the start order was read. ENGINE counts from 0.
//   storm ENGINE COUNT   COUNT containers die with exit code 1, told in one write. Answers with the nanoseconds until the
//                        order to start the last of them was read, and until that to start the first.
//   running ENGINE       answers with how many containers run
//   listeners ENGINE     answers with how many connections read /events
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CONTAINERS = 2048, CONNECTIONS = 1024, REQUEST = 1 << 16, ANSWER = 1 << 20 };

struct container {
    int engine, running, begun, exit_code;
    char id[65], name[128], image[128], *labels;  // labels: the JSON of them all
};

struct connection {
    int open, engine, listens, accepts, deaths_only;
    size_t have;
    char *request;
};

static struct container containers[CONTAINERS];
static struct connection connections[CONNECTIONS];  // by file descriptor
static int known, epoll;
static struct container *dying;
static int storm;  // Containers of a storm that are not started again yet.
static long long died_at, read_at, first_at;

static long long now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int fd, int engine, int accepts) {
    if (fd >= CONNECTIONS) errno = EMFILE, die("connection");
    struct connection *one = &connections[fd];
    if (!one->request && !(one->request = malloc(REQUEST))) die("malloc");
    one->open = 1, one->engine = engine, one->accepts = accepts, one->listens = 0, one->have = 0;
    int room = 1 << 20;  // A storm is one write, also to a client that reads on only when it has been answered.
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &wanted)) die("epoll_ctl");
}

static void drop(int fd) {
    connections[fd].open = connections[fd].listens = 0;
    close(fd);
}

static void say(int fd, const char *text, size_t length) {
    while (length) {
        ssize_t wrote = send(fd, text, length, MSG_NOSIGNAL);  // it blocks: who measures reads in time
        if (wrote <= 0) return;
        text += wrote, length -= wrote;
    }
}

#define HEAD "Api-Version: 1.41\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/20.10.24 (linux)\r\n"

static void answer(int fd, const char *status, const char *body) {
    static char text[ANSWER + 512];
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %s\r\n" HEAD "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          status, strlen(body), body);
    say(fd, text, length);
}

static void no_content(int fd) {
    static const char text[] = "HTTP/1.1 204 No Content\r\n" HEAD "\r\n";
    say(fd, text, sizeof text - 1);
}

// Writes an event as a chunk of the answer to /events.
static int put_event(char *into, size_t room, struct container *of, const char *action, const char *more) {
    static char event[8192];
    long long at = now(CLOCK_REALTIME);
    int labels = (int)strlen(of->labels) - 1;  // without the closing brace
    int length = snprintf(event, sizeof event,
                          "{\"status\":\"%s\",\"id\":\"%s\",\"from\":\"%s\",\"Type\":\"container\",\"Action\":\"%s\","
                          "\"Actor\":{\"ID\":\"%s\",\"Attributes\":%.*s%s%s\"image\":\"%s\",\"name\":\"%s\"}},"
                          "\"scope\":\"local\",\"time\":%lld,\"timeNano\":%lld}\n",
                          action, of->id, of->image, action, of->id, labels, of->labels, labels > 1 ? "," : "", more,
                          of->image, of->name, at / 1000000000, at);
    return snprintf(into, room, "%x\r\n%s\r\n", length, event);
}

static void say_to_listeners(int engine, const char *action, const char *text, size_t length) {
    for (int fd = 0; fd < CONNECTIONS; fd++)
        if (connections[fd].listens && connections[fd].engine == engine &&
            (!connections[fd].deaths_only || !strcmp(action, "die")))
            say(fd, text, length);
}

static void tell(struct container *of, const char *action, const char *more) {
    static char chunk[8300];
    say_to_listeners(of->engine, action, chunk, put_event(chunk, sizeof chunk, of, action, more));
}

static void end(struct container *of, int exit_code, const char *more) {
    of->running = 0, of->exit_code = exit_code;
    tell(of, "die", more);
}

static struct container *find(int engine, const char *name, size_t length) {
    for (int i = 0; i < known; i++) {
        struct container *one = &containers[i];
        if (one->engine == engine && one->id[0] &&
            ((strlen(one->name) == length && !strncmp(one->name, name, length)) ||
             (length >= 12 && length <= 64 && !strncmp(one->id, name, length))))
            return one;
    }
    return NULL;
}

// The text of KEY in BODY: a string without escapes, or an object without nested ones.
static char *value(const char *body, const char *key, char until) {
    const char *at = strstr(body, key);
    if (!at) return NULL;
    at += strlen(key);
    while (*at == ' ' || *at == ':') at++;
    const char *stop = strchr(at + 1, until);
    return stop ? strndup(at, stop - at + 1) : NULL;
}

static void create(int fd, const char *target, const char *body) {
    char text[256];
    const char *name = strstr(target, "name=");
    char *labels = value(body, "\"Labels\"", '}'), *image = value(body, "\"Image\"", '"');
    if (!name || !labels || !image || known == CONTAINERS) {
        answer(fd, "400 Bad Request", "{\"message\":\"name, Image, and Labels are needed\"}");
        free(labels), free(image);
        return;
    }
    struct container *one = &containers[known++];
    *one = (struct container){.engine = connections[fd].engine, .labels = labels};
    snprintf(one->name, sizeof one->name, "%.*s", (int)strcspn(name + 5, "& "), name + 5);
    snprintf(one->image, sizeof one->image, "%.*s", (int)strcspn(image + 1, "\""), image + 1);
    snprintf(one->id, sizeof one->id, "%012x%052x", known * 0x9e3779b1u, known);
    free(image);
    tell(one, "create", "");
    snprintf(text, sizeof text, "{\"Id\":\"%s\",\"Warnings\":[]}", one->id);
    answer(fd, "201 Created", text);
}

static const char *state(const struct container *one) {
    return one->running ? "running" : one->begun ? "exited" : "created";
}

static void list(int fd) {
    static char text[ANSWER];
    size_t have = sprintf(text, "[");
    for (int i = 0; i < known; i++) {
        struct container *one = &containers[i];
        if (one->engine != connections[fd].engine || !one->id[0]) continue;
        have += snprintf(text + have, sizeof text - 2 - have,
                         "%s{\"Id\":\"%s\",\"Names\":[\"/%s\"],\"Image\":\"%s\",\"Labels\":%s,\"State\":\"%s\","
                         "\"Status\":\"%s\"}",
                         have > 1 ? "," : "", one->id, one->name, one->image, one->labels,
                         state(one), one->running ? "Up 3 minutes" : one->begun ? "Exited (1) 1 second ago" : "Created");
        if (have > sizeof text - 8192) exit(1);
    }
    strcpy(text + have, "]");
    answer(fd, "200 OK", text);
}

static void inspect(int fd, struct container *one) {
    static char text[16384];
    snprintf(text, sizeof text,
             "{\"Id\":\"%s\",\"Name\":\"/%s\",\"State\":{\"Status\":\"%s\",\"Running\":%s,\"OOMKilled\":false,"
             "\"ExitCode\":%d,\"StartedAt\":\"2024-01-01T00:00:00Z\"},\"Config\":{\"Image\":\"%s\",\"Labels\":%s}}",
             one->id, one->name, state(one), one->running ? "true" : "false", one->exit_code,
             one->image, one->labels);
    answer(fd, "200 OK", text);
}

static void start(int fd, struct container *one) {
    if (one->running) {
        answer(fd, "304 Not Modified", "");
        return;
    }
    one->running = one->begun = 1;
    tell(one, "start", "");
    no_content(fd);
    if (storm && read_at > died_at) {
        if (!first_at) first_at = read_at;
        if (!--storm) printf("%lld %lld\n", read_at - died_at, first_at - died_at), fflush(stdout);
    }
    if (one == dying) {
        dying = NULL;
        printf("%lld\n", read_at - died_at);
        fflush(stdout);
    }
}

static void of_container(int fd, const char *method, const char *target, const char *body) {
    if (!strncmp(target, "json", 4) && (target[4] == '?' || target[4] == ' ')) return list(fd);
    if (!strncmp(target, "create", 6) && *method == 'P') return create(fd, target, body);
    size_t length = strcspn(target, "/? ");
    struct container *one = find(connections[fd].engine, target, length);
    const char *verb = target + length;
    if (!one) return answer(fd, "404 Not Found", "{\"message\":\"No such container\"}");
    if (!strncmp(verb, "/json", 5)) return inspect(fd, one);
    if (!strncmp(verb, "/start", 6)) return start(fd, one);
    if (!strncmp(verb, "/kill", 5)) {
        if (!one->running) return answer(fd, "409 Conflict", "{\"message\":\"Container is not running\"}");
        tell(one, "kill", "\"signal\":\"15\",");
        no_content(fd);
        return end(one, 143, "\"exitCode\":\"143\",");
    }
    if (*method == 'D') {
        one->running = 0;
        tell(one, "destroy", "");
        one->id[0] = 0;
        return no_content(fd);
    }
    answer(fd, "501 Not Implemented", "{\"message\":\"the fake engine cannot do that\"}");
}

static void serve(int fd, char *request, const char *body) {
    char *target = strchr(request, ' ');
    if (!target) return drop(fd);
    target += 2;
    if (*target == 'v' && isdigit(target[1])) target += strcspn(target, "/ ") + 1;
    if (!strncmp(target, "containers/", 11)) return of_container(fd, request, target + 11, body);
    if (!strncmp(target, "events", 6)) {
        static const char head[] = "HTTP/1.1 200 OK\r\n" HEAD
                                   "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        say(fd, head, sizeof head - 1);
        connections[fd].listens = 1;
        // As far as it matters here, the filter is heeded: who asks for deaths only is told of nothing else.
        connections[fd].deaths_only = strstr(target, "die") && !strstr(target, "start");
    } else if (!strncmp(target, "version", 7)) {
        answer(fd, "200 OK", "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
    } else if (!strncmp(target, "_ping", 5)) {
        answer(fd, "200 OK", "OK");
    } else {
        answer(fd, "404 Not Found", "{\"message\":\"page not found\"}");
    }
}

// Serves every whole request that has come.
static void requests(int fd) {
    struct connection *one = &connections[fd];
    ssize_t got = read(fd, one->request + one->have, REQUEST - 1 - one->have);
    read_at = now(CLOCK_MONOTONIC);
    if (got <= 0) return drop(fd);
    one->have += got;
    one->request[one->have] = 0;
    char *stop;
    while (one->open && (stop = strstr(one->request, "\r\n\r\n"))) {
        *stop = 0;
        const char *length = strcasestr(one->request, "content-length:");
        char *body = stop + 4;
        size_t sized = length ? strtoul(length + 15, NULL, 10) : 0, whole = body + sized - one->request;
        if (whole > one->have) {
            *stop = '\r';
            return;
        }
        char after = body[sized];
        body[sized] = 0;
        serve(fd, one->request, body);
        body[sized] = after;
        one->have -= whole;
        memmove(one->request, body + sized, one->have + 1);
    }
    if (one->have == REQUEST - 1) drop(fd);
}

static void order(char *line) {
    char verb[16], name[128] = "";
    int engine, count = 0;
    if (sscanf(line, "%15s %d %127s", verb, &engine, name) < 2) exit(2);
    if (!strcmp(verb, "die")) {
        dying = find(engine, name, strlen(name));
        if (!dying || !dying->running) {
            dying = NULL;
            printf("-1\n");
            return;
        }
        died_at = now(CLOCK_MONOTONIC);
        end(dying, 1, "\"exitCode\":\"1\",");
        return;
    }
    if (!strcmp(verb, "storm")) {
        static char text[ANSWER];
        size_t have = 0;
        int wanted = atoi(name);
        for (int i = 0; i < known && storm < wanted && have < sizeof text - 8300; i++) {
            struct container *one = &containers[i];
            if (one->engine != engine || !one->running) continue;
            one->running = 0, one->exit_code = 1, storm++;
            have += put_event(text + have, sizeof text - have, one, "die", "\"exitCode\":\"1\",");
        }
        first_at = 0, died_at = now(CLOCK_MONOTONIC);
        say_to_listeners(engine, "die", text, have);
        if (storm < wanted) printf("-1 -1\n"), storm = 0;
        return;
    }
    if (!strcmp(verb, "running"))
        for (int i = 0; i < known; i++) count += containers[i].engine == engine && containers[i].running;
    else
        for (int fd = 0; fd < CONNECTIONS; fd++) count += connections[fd].listens && connections[fd].engine == engine;
    printf("%d\n", count);
}

static void orders(void) {
    static char text[4096];
    static size_t have;
    ssize_t got = read(0, text + have, sizeof text - 1 - have);
    if (got <= 0) exit(0);
    have += got;
    text[have] = 0;
    char *stop, *line = text;
    for (; (stop = strchr(line, '\n')); line = stop + 1) {
        *stop = 0;
        order(line);
    }
    have -= line - text;
    memmove(text, line, have);
    fflush(stdout);
}

int main(int argc, char **argv) {
    epoll = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = 0};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &wanted)) die("stdin");
    for (int i = 1; i < argc; i++) {
        struct sockaddr_un here = {.sun_family = AF_UNIX};
        if (strlen(argv[i]) >= sizeof here.sun_path) return 2;
        strcpy(here.sun_path, argv[i]);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, 64)) die(argv[i]);
        watch(fd, i - 1, 1);
    }
    puts("ready");
    fflush(stdout);
    struct epoll_event found[64];
    for (;;) {
        int count = epoll_wait(epoll, found, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = found[i].data.fd;
            if (fd == 0)
                orders();
            else if (connections[fd].accepts)
                watch(accept(fd, NULL, NULL), connections[fd].engine, 0);
            else if (connections[fd].open)
                requests(fd);
        }
    }
}
