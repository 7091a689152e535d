/*
 * A closed-loop HTTP/1.1 load generator: each connection sends a request, reads the
 * whole answer, and sends the next. Prints one line of JSON: rate, latencies, statuses,
 * and how busy its own threads were, so that a generator that is the bottleneck shows
 * itself.
 *
 *   load [-t THREADS] [-r] PORT PATH CONNECTIONS SECONDS [HEADER FILE]
 *
 * With HEADER and FILE each request takes the next line of FILE as that header's value;
 * when they run out the run ends, or with -r begins again with the first. An answer
 * must carry Content-Length.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define THREADS_MAX 16
#define LATENCIES_MAX 8000000 /* of all threads */
#define ANSWER_MAX 65536
#define REQUEST_MAX 8192

struct connection {
    int fd;
    double sent_at;
    size_t size; /* of the answer so far */
    char answer[ANSWER_MAX];
};

/* What all threads share. */
struct plan {
    const char *path, *header;
    int port;
    double seconds, stop_at;
    pthread_barrier_t connected;
    pthread_mutex_t lock;           /* of next */
    const char *first, *next, *end; /* header values, a line each */
    bool again;
};

/* One thread. */
struct run {
    struct plan *plan;
    struct connection *connections;
    size_t open;
    pthread_t thread;
    float *latencies_us;
    size_t count, count_max;
    size_t statuses[600];
    double cpu_seconds, wait_seconds; /* on a core; ready, and waiting for one */
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

/* The next header value, and its size; 0 when there is none left. */
static size_t next_value(struct plan *plan, const char **value)
{
    const char *end = NULL;

    pthread_mutex_lock(&plan->lock);
    if (plan->next >= plan->end && plan->again) {
        plan->next = plan->first;
    }
    if (plan->next < plan->end) {
        end = memchr(plan->next, '\n', (size_t)(plan->end - plan->next));
    }
    *value = plan->next;
    if (end != NULL) {
        plan->next = end + 1;
    }
    pthread_mutex_unlock(&plan->lock);

    return end == NULL ? 0 : (size_t)(end - *value);
}

/* Writes the next request; 0 when there is none left. */
static size_t next_request(struct plan *plan, char *out)
{
    const char *value;
    size_t value_size;
    int size;

    if (plan->header == NULL) {
        size = snprintf(out, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n",
                        plan->path);
        return (size_t)size;
    }

    value_size = next_value(plan, &value);
    if (value_size == 0) {
        return 0;
    }
    size =
        snprintf(out, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: bench\r\n%s: %.*s\r\n\r\n",
                 plan->path, plan->header, (int)value_size, value);

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

    if (now_seconds() < run->plan->stop_at && run->count < run->count_max) {
        size = next_request(run->plan, request);
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

static void map_values(struct plan *plan, const char *path)
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
    plan->first = plan->next = text;
    plan->end = plan->next + info.st_size;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
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

/* What the scheduler says of this thread. */
static void account(struct run *run)
{
    FILE *file = fopen("/proc/thread-self/schedstat", "re");

    if (file == NULL ||
        fscanf(file, "%lf %lf", &run->cpu_seconds, &run->wait_seconds) != 2) {
        fail("/proc/thread-self/schedstat");
    }
    fclose(file);
    run->cpu_seconds /= 1e9;
    run->wait_seconds /= 1e9;
}

static void *run_thread(void *data)
{
    struct run *run = data;
    struct run before;
    int epoll = epoll_create1(0);

    if (epoll < 0) {
        fail("epoll_create1");
    }
    for (size_t i = 0; i < run->open; i++) {
        open_connection(&run->connections[i], run->plan->port, epoll);
    }
    if (pthread_barrier_wait(&run->plan->connected) == PTHREAD_BARRIER_SERIAL_THREAD) {
        run->plan->stop_at = now_seconds() + run->plan->seconds;
    }
    (void)pthread_barrier_wait(&run->plan->connected);

    account(run);
    before = *run;
    for (size_t i = 0, count = run->open; i < count; i++) {
        send_next(run, &run->connections[i]);
    }
    drive(run, epoll);
    account(run);
    run->cpu_seconds -= before.cpu_seconds;
    run->wait_seconds -= before.wait_seconds;
    close(epoll);

    return NULL;
}

/* Adds a thread's figures to the first's; the busiest thread stands for all. */
static void merge(struct run *all, const struct run *one)
{
    memcpy(all->latencies_us + all->count, one->latencies_us,
           one->count * sizeof(float));
    all->count += one->count;
    for (int i = 0; i < 600; i++) {
        all->statuses[i] += one->statuses[i];
    }
    if (one->cpu_seconds + one->wait_seconds > all->cpu_seconds + all->wait_seconds) {
        all->cpu_seconds = one->cpu_seconds;
        all->wait_seconds = one->wait_seconds;
    }
}

static void report(struct run *run, double seconds)
{
    const size_t count = run->count;

    qsort(run->latencies_us, count, sizeof(float), compare);
    printf("{\"requests\":%zu,\"seconds\":%.3f,\"rate\":%.0f,\"p50_us\":%.1f,"
           "\"p99_us\":%.1f,\"generator_cpu_share\":%.2f,"
           "\"generator_busy_share\":%.2f,\"statuses\":{",
           count, seconds, (double)count / seconds,
           count ? (double)run->latencies_us[count / 2] : 0.0,
           count ? (double)run->latencies_us[count * 99 / 100] : 0.0,
           run->cpu_seconds / seconds,
           (run->cpu_seconds + run->wait_seconds) / seconds);
    for (int i = 0, first = 1; i < 600; i++) {
        if (run->statuses[i]) {
            printf("%s\"%d\":%zu", first ? "" : ",", i, run->statuses[i]);
            first = 0;
        }
    }
    printf("}}\n");
}

/* Runs the plan with so many connections in each thread but for what is left over. */
static void run_all(struct plan *plan, size_t threads, size_t connections)
{
    static struct run runs[THREADS_MAX];
    static struct connection all[CONNECTIONS_MAX];
    size_t taken = 0;
    double started;

    pthread_mutex_init(&plan->lock, NULL);
    pthread_barrier_init(&plan->connected, NULL, (unsigned)threads);
    for (size_t i = 0; i < threads; i++) {
        struct run *run = &runs[i];
        run->plan = plan;
        run->connections = all + taken;
        run->open = connections / threads + (i < connections % threads);
        run->count_max = LATENCIES_MAX / threads;
        run->latencies_us =
            malloc((i == 0 ? LATENCIES_MAX : run->count_max) * sizeof(float));
        taken += run->open;
        if (run->latencies_us == NULL ||
            pthread_create(&run->thread, NULL, run_thread, run) != 0) {
            fail("cannot start");
        }
    }
    for (size_t i = 0; i < threads; i++) {
        (void)pthread_join(runs[i].thread, NULL);
        if (i > 0) {
            merge(&runs[0], &runs[i]);
        }
    }
    started = plan->stop_at - plan->seconds;
    report(&runs[0], now_seconds() - started);
}

static int usage(void)
{
    fprintf(stderr, "usage: load [-t THREADS] [-r] PORT PATH CONNECTIONS SECONDS "
                    "[HEADER FILE]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    int threads = 1, connections, option;

    while ((option = getopt(argc, argv, "t:r")) != -1) {
        if (option == 't') {
            threads = atoi(optarg);
        } else if (option == 'r') {
            plan.again = true;
        } else {
            return usage();
        }
    }
    argc -= optind;
    argv += optind;
    if (argc != 4 && argc != 6) {
        return usage();
    }
    plan.port = atoi(argv[0]);
    plan.path = argv[1];
    connections = atoi(argv[2]);
    plan.seconds = atof(argv[3]);
    if (connections < 1 || connections > CONNECTIONS_MAX || threads < 1 ||
        threads > THREADS_MAX || threads > connections) {
        return usage();
    }
    if (argc == 6) {
        plan.header = argv[4];
        map_values(&plan, argv[5]);
    }
    run_all(&plan, (size_t)threads, (size_t)connections);

    return 0;
}
