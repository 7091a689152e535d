/*
 * A closed-loop HTTP/1.1 load generator: each connection sends a request, reads the
 * whole answer, and sends the next. Prints one line of JSON: rate, latencies, statuses,
 * and its own CPU share, so that a generator that is the bottleneck shows itself.
 *
 *   load PORT PATH CONNECTIONS SECONDS [HEADER FILE]
 *
 * With HEADER and FILE each request takes the next line of FILE as that header's value;
 * when they run out the run ends. An answer must carry Content-Length.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define LATENCIES_MAX 8000000
#define ANSWER_MAX 65536
#define REQUEST_MAX 8192

struct connection {
    int fd;
    double sent_at;
    size_t size; /* of the answer so far */
    char answer[ANSWER_MAX];
};

struct run {
    const char *path, *header;
    const char *next, *end; /* header values, a line each */
    double stop_at;
    float *latencies_us;
    size_t count;
    size_t statuses[600];
    size_t open;
};

static double now_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Writes the next request; 0 when there is none left. */
static size_t next_request(struct run *run, char *out)
{
    const char *line_end;
    int size;

    if (run->header == NULL) {
        size = snprintf(out, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n",
                        run->path);
        return (size_t)size;
    }

    if (run->next >= run->end) {
        return 0;
    }
    line_end = memchr(run->next, '\n', (size_t)(run->end - run->next));
    if (line_end == NULL) {
        return 0;
    }

    size =
        snprintf(out, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: bench\r\n%s: %.*s\r\n\r\n",
                 run->path, run->header, (int)(line_end - run->next), run->next);
    run->next = line_end + 1;

    return (size_t)size;
}

static void close_connection(struct run *run, struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    run->open--;
}

static void send_next(struct run *run, struct connection *c)
{
    char request[REQUEST_MAX];
    size_t size = 0;

    if (now_seconds() < run->stop_at && run->count < LATENCIES_MAX) {
        size = next_request(run, request);
    }
    if (size == 0) {
        close_connection(run, c);
        return;
    }

    c->size = 0;
    c->sent_at = now_seconds();
    if (send(c->fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) {
        fail("send");
    }
}

/* The size of a whole answer, 0 while it is not all here. */
static size_t answer_size(const struct connection *c)
{
    const char *end = memmem(c->answer, c->size, "\r\n\r\n", 4);
    const char *length;
    size_t body = 0;

    if (end == NULL) {
        return 0;
    }
    length = memmem(c->answer, (size_t)(end - c->answer), "\r\nContent-Length:", 17);
    if (length != NULL) {
        body = strtoul(length + 17, NULL, 10);
    }

    return (size_t)(end - c->answer) + 4 + body;
}

static void receive(struct run *run, struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->size, sizeof(c->answer) - c->size, 0);
    size_t size;
    int status;

    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        fail(n == 0 ? "the server closed the connection" : "recv");
    }
    c->size += (size_t)n;

    size = answer_size(c);
    if (size == 0 || c->size < size) {
        return;
    }

    status = atoi(c->answer + 9);
    run->statuses[status > 0 && status < 600 ? status : 0]++;
    run->latencies_us[run->count++] = (float)((now_seconds() - c->sent_at) * 1e6);
    send_next(run, c);
}

static void open_connection(struct connection *c, int port, int epoll)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 ||
        connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        fail("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static void map_values(struct run *run, const char *path)
{
    int fd = open(path, O_RDONLY);
    struct stat info;
    void *text;

    if (fd < 0 || fstat(fd, &info) != 0) {
        fail(path);
    }
    text =
        mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (text == MAP_FAILED) {
        fail("mmap");
    }
    run->next = text;
    run->end = run->next + info.st_size;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

static void report(struct run *run, double seconds)
{
    struct rusage usage;
    double cpu;

    getrusage(RUSAGE_SELF, &usage);
    cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    qsort(run->latencies_us, run->count, sizeof(float), compare);

    printf("{\"requests\":%zu,\"seconds\":%.3f,\"rate\":%.0f,\"p50_us\":%.0f,\"p99_"
           "us\":%.0f,"
           "\"generator_cpu_share\":%.2f,\"statuses\":{",
           run->count, seconds, (double)run->count / seconds,
           run->count ? (double)run->latencies_us[run->count / 2] : 0.0,
           run->count ? (double)run->latencies_us[run->count * 99 / 100] : 0.0,
           cpu / seconds);
    for (int i = 0, first = 1; i < 600; i++) {
        if (run->statuses[i]) {
            printf("%s\"%d\":%zu", first ? "" : ",", i, run->statuses[i]);
            first = 0;
        }
    }
    printf("}}\n");
}

static void drive(struct run *run, int epoll)
{
    struct epoll_event events[64];

    while (run->open > 0) {
        int n = epoll_wait(epoll, events, 64, 1000);
        if (n < 0 && errno != EINTR) {
            fail("epoll_wait");
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->fd >= 0) {
                receive(run, c);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static struct run run;
    static struct connection connections[CONNECTIONS_MAX];
    int epoll = epoll_create1(0);
    int count;
    double started;

    if (argc != 5 && argc != 7) {
        fprintf(stderr, "usage: load PORT PATH CONNECTIONS SECONDS [HEADER FILE]\n");
        return 2;
    }
    count = atoi(argv[3]);
    if (epoll < 0 || count < 1 || count > CONNECTIONS_MAX) {
        return 2;
    }

    run.path = argv[2];
    if (argc == 7) {
        run.header = argv[5];
        map_values(&run, argv[6]);
    }
    run.latencies_us = malloc(LATENCIES_MAX * sizeof(float));
    if (run.latencies_us == NULL) {
        fail("malloc");
    }

    for (int i = 0; i < count; i++) {
        open_connection(&connections[i], atoi(argv[1]), epoll);
    }
    started = now_seconds();
    run.stop_at = started + atof(argv[4]);
    run.open = (size_t)count;
    for (int i = 0; i < count; i++) {
        send_next(&run, &connections[i]);
    }
    drive(&run, epoll);
    report(&run, now_seconds() - started);

    return 0;
}
