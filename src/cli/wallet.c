/* `x402 wallet`: key files. */
#include "cli/cli.h"

#include "evm/signature.h"
#include "settle/key.h"

#include <string.h>

#define COMMAND "wallet"

static const char help[] =
    "usage: x402 wallet new FILE\n"
    "       x402 wallet address FILE\n"
    "\n"
    "A wallet is a private key in a file that only you can read (mode 0600).\n"
    "\n"
    "  new FILE      make a key, write it to a new FILE, print its address; an\n"
    "                existing file is never touched\n"
    "  address FILE  print the address of the key in FILE\n"
    "\n"
    "A wallet to pay with (send it USDC) and one to settle with (send it ETH for "
    "gas):\n"
    "\n"
    "  x402 wallet new payer.key\n"
    "  x402 wallet new settler.key\n"
    "  x402 wallet address payer.key\n";

static int print_address(const uint8_t address20[20])
{
    char text[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(text, address20);
    puts(text);
    return X402_EXIT_DONE;
}

static int refuse(const char *message)
{
    x402_cli_error(COMMAND, "%s", message);
    return X402_EXIT_FAILED;
}

static int make_wallet(const char *path)
{
    char message[X402_KEY_MESSAGE_MAX];
    uint8_t address20[20];

    if (x402_key_create(address20, path, message) != X402_OK)
        return refuse(message);
    return print_address(address20);
}

static int show_wallet(const char *path)
{
    char message[X402_KEY_MESSAGE_MAX];
    uint8_t key32[32], address20[20];

    if (x402_key_load(key32, path, message) != X402_OK)
        return refuse(message);
    enum x402_error error = x402_key_address(address20, key32);
    x402_bytes_wipe(key32, sizeof key32);
    return error == X402_OK ? print_address(address20) : refuse("not a private key");
}

int x402_cli_wallet(int argc, char **argv)
{
    static const char *const names[] = {"new or address", "FILE"};
    const char *words[2];
    const struct x402_option options[] = {{NULL, 0, X402_OPTION_FLAG, NULL}};
    struct x402_arguments arguments = {.help = help,
                                       .options = options,
                                       .words_min = 2,
                                       .words_max = 2,
                                       .words_names = names,
                                       .words = words};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);

    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    if (strcmp(words[0], "new") == 0)
        return make_wallet(words[1]);
    if (strcmp(words[0], "address") == 0)
        return show_wallet(words[1]);
    return x402_cli_usage_error(COMMAND, "no action '%s': write new or address",
                                words[0]);
}
