/* `x402`: finds the subcommand and hands over. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve", x402_cli_serve, "sell what an upstream answers"},
    {"settle", x402_cli_settle, "move the money of what was sold"},
    {"pay", x402_cli_pay, "call a paid URL, like curl, and pay for it"},
    {"wallet", x402_cli_wallet, "make a key file, show its address"},
    {"stats", x402_cli_stats, "what was sold and where the money stands"},
    {"payments", x402_cli_payments, "list payments"},
    {"contract", x402_cli_contract, "put the batching contract on a chain"},
    {"check", x402_cli_check, "prove the ledger's books, alone and against the chain"},
};
#define COMMANDS_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
    fputs("x402 sells HTTP requests: 402 Payment Required, USDC on Base, no accounts\n"
          "\n"
          "usage: x402 COMMAND [OPTIONS]\n\n",
          out);
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].summary);
    fputs(
        "\n"
        "  x402 COMMAND --help    what a command takes, with examples\n"
        "  x402 --version\n"
        "\n"
        "Sell an API that runs on port 3000 for a tenth of a cent a call:\n"
        "\n"
        "  x402 serve --upstream http://127.0.0.1:3000 --price 0.001 --pay-to ADDRESS\n"
        "\n"
        "Exit codes: 0 done, 1 failed, 2 wrong usage.\n",
        out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int refuse_command(const char *name)
{
    const char *names[COMMANDS_COUNT + 1] = {NULL};
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        names[i] = commands[i].name;
    const char *nearest = x402_cli_nearest(names, name);
    if (nearest != NULL)
        return x402_cli_usage_error(NULL, "no command '%s': did you mean '%s'?", name,
                                    nearest);
    return x402_cli_usage_error(NULL, "no command '%s'", name);
}

/* What was printed must have arrived: a full disk is a failure. */
static int flush_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    x402_cli_error(NULL, "cannot write the output: %s", strerror(errno));
    return code == X402_EXIT_DONE ? X402_EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return X402_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 && argc > 2) {
        const struct command *asked = find_command(argv[2]);
        char help[] = "--help";
        char *words[] = {argv[2], help, NULL};
        return asked ? flush_output(asked->run(2, words)) : refuse_command(argv[2]);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        strcmp(name, "help") == 0) {
        print_help(stdout);
        return flush_output(X402_EXIT_DONE);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("x402 " X402_VERSION);
        return flush_output(X402_EXIT_DONE);
    }
    if (name[0] == '-')
        return x402_cli_usage_error(NULL, "the command comes first, not '%s'", name);
    const struct command *command = find_command(name);
    if (command == NULL)
        return refuse_command(name);
    return flush_output(command->run(argc - 1, argv + 1));
}
