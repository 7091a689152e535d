/*
 * The supervisor of `x402 serve`: two children, each in a process group of its own, so
 * that Ctrl-C reaches the supervisor alone and everything stops in order. Signals are
 * blocked and waited for; nothing runs in a handler.
 */
#include "cli/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMAND "serve"
#define STOP_MILLISECONDS 12000 /* for a graceful stop */
#define HURRY_MILLISECONDS 3000 /* between a harder signal and the hardest */
#define TICK_MILLISECONDS 50
#define WORDS_MAX 20 /* of the settler's command line */
#define BACKOFF_MIN_MILLISECONDS 1000
#define BACKOFF_MAX_MILLISECONDS 60000
#define SETTLER_STABLE_MILLISECONDS 60000 /* having run so long, it starts afresh */

enum stage {
    STAGE_STARTING, /* nginx is not ready yet */
    STAGE_RUNNING,
    STAGE_STOPPING, /* asked to finish what is under way */
    STAGE_HURRYING, /* asked to drop it */
    STAGE_KILLING,
};

struct supervisor {
    const struct x402_serve *serve;
    const struct x402_serve_place *place;
    const char *nginx_path;
    void (*announce)(const struct x402_serve *, const struct x402_serve_place *);
    sigset_t signals;
    pid_t nginx, settler; /* and their process groups; 0: never started, or gone */
    enum stage stage;
    int64_t deadline_milliseconds; /* of a stopping stage */
    int64_t settler_started_milliseconds;
    int64_t settler_restart_milliseconds; /* 0: it is not to be started */
    int64_t backoff_milliseconds;
    int exit_code;
};

static int64_t steady_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------------- children */

/* In the child. Dies with the supervisor, has no terminal to read, all files allowed.
 */
static void become_child(pid_t parent, int death_signal)
{
    sigset_t none;
    struct rlimit files;
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent) /* it died before we asked */
        _exit(X402_EXIT_FAILED);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (null > STDIN_FILENO)
        close(null);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* 0 when it could not be started; the message is printed. */
static pid_t start_child(const char *path, char *const *argv, int death_signal)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        x402_cli_error(COMMAND, "cannot start %s: %s", argv[0], strerror(errno));
        return 0;
    }
    if (pid == 0) {
        become_child(parent, death_signal);
        execv(path, argv);
        x402_cli_error(COMMAND, "cannot run '%s': %s", path, strerror(errno));
        _exit(127);
    }
    setpgid(pid, pid); /* whoever is first */
    return pid;
}

static bool start_nginx(struct supervisor *s)
{
    char conf[X402_PATH_MAX + 8];
    char name[] = "nginx", e[] = "-e", log[] = "stderr", c[] = "-c";
    snprintf(conf, sizeof conf, "%sconf", s->place->run_prefix);
    char *argv[] = {name, e, log, c, conf, NULL};
    s->nginx = start_child(s->nginx_path, argv, SIGQUIT);
    return s->nginx != 0;
}

/* The words of a command line; they outlive the fork. */
struct words {
    char text[WORDS_MAX][X402_PATH_MAX];
    char *argv[WORDS_MAX + 1];
    size_t count;
};

static void put_word(struct words *words, const char *text)
{
    char *word = words->text[words->count];
    snprintf(word, sizeof words->text[0], "%s", text);
    words->argv[words->count++] = word;
}

/* Left out when the value is NULL. */
static void put_option(struct words *words, const char *name, const char *value)
{
    if (value == NULL)
        return;
    put_word(words, name);
    put_word(words, value);
}

static void start_settler(struct supervisor *s)
{
    static struct words words;
    const struct x402_serve *serve = s->serve;
    bool remote = serve->facilitator.url != NULL;
    char caip2[X402_CAIP2_TEXT_SIZE], rpc[X402_PATH_MAX];
    memset(&words, 0, sizeof words);
    x402_caip2_encode(caip2, serve->network.chain_id);
    snprintf(rpc, sizeof rpc, "%s=%s", caip2, serve->rpc_url ? serve->rpc_url : "");
    put_word(&words, "x402");
    put_word(&words, "settle");
    put_option(&words, "--data", s->place->data_dir);
    put_option(&words, "--rpc", serve->rpc_url ? rpc : NULL);
    put_option(&words, "--key", serve->settler_key);
    put_option(&words, "--batch-age", serve->batch_age);
    put_option(&words, "--log-format", serve->log_format);
    put_option(&words, "--facilitator", serve->facilitator.url);
    put_option(&words, "--facilitator-header-file", serve->facilitator.header_file);
    put_option(&words, "--facilitator-timeout", serve->facilitator.timeout);
    put_option(&words, "--network", remote ? caip2 : NULL);
    s->settler = start_child("/proc/self/exe", words.argv, SIGTERM);
    s->settler_started_milliseconds = steady_milliseconds();
    s->settler_restart_milliseconds = 0;
}

/* Whether anything of a process group is left; a dead master may leave workers. */
static bool group_lives(pid_t group)
{
    return group != 0 && kill(-group, 0) == 0;
}

static void signal_group(pid_t group, int signal)
{
    if (group != 0)
        kill(-group, signal);
}

/* ------------------------------------------------------------------------ stages */

static void begin_stop(struct supervisor *s, int exit_code)
{
    if (s->stage >= STAGE_STOPPING)
        return;
    s->stage = STAGE_STOPPING;
    s->exit_code = exit_code;
    s->deadline_milliseconds = steady_milliseconds() + STOP_MILLISECONDS;
    signal_group(s->nginx, SIGQUIT); /* workers a dead master left hear it too */
    signal_group(s->settler, SIGTERM);
}

/* The next, harder way of stopping. */
static void hurry_stop(struct supervisor *s)
{
    bool kill_all = s->stage != STAGE_STOPPING;
    s->stage = kill_all ? STAGE_KILLING : STAGE_HURRYING;
    s->deadline_milliseconds = steady_milliseconds() + HURRY_MILLISECONDS;
    signal_group(s->nginx, kill_all ? SIGKILL : SIGTERM);
    signal_group(s->settler, kill_all ? SIGKILL : SIGTERM);
}

static void describe_end(char *out, size_t out_max, int status)
{
    if (WIFSIGNALED(status))
        snprintf(out, out_max, "signal %d", WTERMSIG(status));
    else
        snprintf(out, out_max, "exit code %d", WEXITSTATUS(status));
}

static void nginx_ended(struct supervisor *s, int status)
{
    char how[32];
    describe_end(how, sizeof how, status);
    if (s->stage == STAGE_STARTING)
        x402_cli_error(COMMAND, "nginx did not start (%s): it says why above", how);
    else if (s->stage == STAGE_RUNNING)
        x402_cli_error(COMMAND, "nginx stopped by itself (%s): everything stops", how);
    begin_stop(s, X402_EXIT_FAILED);
}

static void settler_ended(struct supervisor *s, int status)
{
    char how[32];
    int64_t now = steady_milliseconds();
    describe_end(how, sizeof how, status);
    s->settler = 0;
    if (s->stage >= STAGE_STOPPING)
        return;
    if (now - s->settler_started_milliseconds >= SETTLER_STABLE_MILLISECONDS)
        s->backoff_milliseconds = BACKOFF_MIN_MILLISECONDS;
    s->settler_restart_milliseconds = now + s->backoff_milliseconds;
    x402_cli_error(COMMAND, "the settler stopped (%s): it starts again in %d s", how,
                   (int)(s->backoff_milliseconds / 1000));
    s->backoff_milliseconds *= 2;
    if (s->backoff_milliseconds > BACKOFF_MAX_MILLISECONDS)
        s->backoff_milliseconds = BACKOFF_MAX_MILLISECONDS;
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == s->nginx)
            nginx_ended(s, status);
        else if (pid == s->settler)
            settler_ended(s, status);
    }
}

/* nginx writes its number once the configuration is in force and sockets are open. */
static bool nginx_is_ready(const struct supervisor *s)
{
    char path[X402_PATH_MAX + 8];
    long pid = 0;
    snprintf(path, sizeof path, "%spid", s->place->run_prefix);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool fine = fscanf(file, "%ld", &pid) == 1 && pid == (long)s->nginx;
    fclose(file);
    return fine;
}

static void tick(struct supervisor *s)
{
    int64_t now = steady_milliseconds();
    if (s->stage == STAGE_STARTING && nginx_is_ready(s)) {
        s->stage = STAGE_RUNNING;
        s->announce(s->serve, s->place);
        fflush(stdout);
        if (x402_serve_settles(s->serve))
            start_settler(s);
    }
    if (s->stage == STAGE_RUNNING && s->settler_restart_milliseconds != 0 &&
        now >= s->settler_restart_milliseconds)
        start_settler(s);
    if (s->stage >= STAGE_STOPPING && now >= s->deadline_milliseconds)
        hurry_stop(s);
}

/* A hung-up terminal is the end; SIGHUP from a person is a reload. */
static void handle_signal(struct supervisor *s, const siginfo_t *info)
{
    switch (info->si_signo) {
    case SIGHUP:
        if (info->si_code == SI_KERNEL)
            begin_stop(s, X402_EXIT_DONE);
        else if (s->stage == STAGE_RUNNING)
            kill(s->nginx, SIGHUP);
        break;
    case SIGINT:
    case SIGTERM:
    case SIGQUIT:
        if (s->stage < STAGE_STOPPING)
            begin_stop(s, X402_EXIT_DONE);
        else
            hurry_stop(s);
        break;
    default: /* SIGCHLD: reaped at every turn */
        break;
    }
}

static void wait_for_signal(struct supervisor *s)
{
    siginfo_t info;
    bool idle = s->stage == STAGE_RUNNING && s->settler_restart_milliseconds == 0;
    struct timespec tick_time = {0, TICK_MILLISECONDS * 1000000L};
    int signal = idle ? sigwaitinfo(&s->signals, &info)
                      : sigtimedwait(&s->signals, &info, &tick_time);
    if (signal > 0)
        handle_signal(s, &info);
}

static void supervise(struct supervisor *s)
{
    while (group_lives(s->nginx) || group_lives(s->settler)) {
        wait_for_signal(s);
        reap(s);
        tick(s);
    }
}

/* ------------------------------------------------------------------------- start */

static bool write_config(const struct x402_serve *serve,
                         const struct x402_serve_place *place)
{
    char path[X402_PATH_MAX + 8];
    snprintf(path, sizeof path, "%sconf", place->run_prefix);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file != NULL) {
        x402_serve_config_write(file, serve, place);
        bool written = !ferror(file);
        if (fclose(file) == 0 && written)
            return true;
    }
    x402_cli_error(COMMAND, "cannot write '%s': %s", path, strerror(errno));
    return false;
}

static void run_path(char out[X402_PATH_MAX + 8], const struct x402_serve_place *place,
                     const char *suffix)
{
    snprintf(out, X402_PATH_MAX + 8, "%s%s", place->run_prefix, suffix);
}

/* The file that is locked must be the one that others find: it is removed at the end.
 */
static bool is_current(int fd, const char *path)
{
    struct stat ours, theirs;
    return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* One supervisor a data directory. The lock goes when we do. */
static bool take_lock(const struct x402_serve_place *place)
{
    char path[X402_PATH_MAX + 8];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    run_path(path, place, "lock");
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
            x402_cli_error(COMMAND, "cannot make '%s': %s", path, strerror(errno));
            return false;
        }
        bool locked = fcntl(fd, F_SETLK, &lock) == 0;
        if (locked && is_current(fd, path))
            return true;
        close(fd);
        if (locked) /* another supervisor removed it meanwhile */
            continue;
        x402_cli_error(COMMAND,
                       "another x402 serve runs on '%s': stop it, or name another "
                       "directory with --data",
                       place->data_dir);
        return false;
    }
}

static void remove_file(const struct x402_serve_place *place, const char *suffix)
{
    char path[X402_PATH_MAX + 8];
    run_path(path, place, suffix);
    unlink(path);
}

int x402_serve_run(const struct x402_serve *serve, const struct x402_serve_place *place,
                   const char *nginx,
                   void (*announce)(const struct x402_serve *,
                                    const struct x402_serve_place *))
{
    struct supervisor s = {.serve = serve,
                           .place = place,
                           .nginx_path = nginx,
                           .announce = announce,
                           .stage = STAGE_STARTING,
                           .backoff_milliseconds = BACKOFF_MIN_MILLISECONDS,
                           .exit_code = X402_EXIT_DONE};
    static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGCHLD};
    if (!take_lock(place) || !write_config(serve, place))
        return X402_EXIT_FAILED;
    remove_file(place, "pid"); /* of one that left without cleaning up */
    sigemptyset(&s.signals);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&s.signals, signals[i]);
    sigprocmask(SIG_BLOCK, &s.signals, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* workers of a dead master come to us */
    if (!start_nginx(&s))
        return X402_EXIT_FAILED;
    supervise(&s);
    remove_file(place, "pid"); /* of an nginx that had to be killed */
    remove_file(place, "conf");
    remove_file(place, "lock");
    return s.exit_code;
}
