/*
 * The nginx configuration of `x402 serve`, with comments for whoever takes it over.
 * Every text in it is either of a set of characters that mean nothing to nginx, or
 * quoted.
 */
#include "cli/serve.h"

#include <x402/money.h>

#include <string.h>

/* A parameter in double quotes; nginx reads \\ and \" back. */
static void put_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_setting(FILE *out, const char *name, const char *dir, const char *file)
{
    char path[2 * X402_PATH_MAX];
    snprintf(path, sizeof path, "%s%s", dir, file);
    fputs(name, out);
    put_quoted(out, path);
    fputs(";\n", out);
}

/* -------------------------------------------------------------------------- main */

static void put_main(FILE *out, const struct x402_serve *serve,
                     const struct x402_serve_place *place)
{
    fputs("# The nginx configuration of `x402 serve` (x402 " X402_VERSION ").\n"
          "#\n"
          "# It is complete: `nginx -t -c FILE` checks it, `nginx -c FILE` runs it. "
          "Take\n"
          "# it over when you need what the flags do not offer, TLS or several "
          "upstreams\n"
          "# for example. `x402 settle` then runs beside it, and `x402 stats`, "
          "`payments`\n"
          "# and `check` read the same ledger.\n\n",
          out);
    put_setting(out, "load_module ", place->module, "");
    if (place->as_root)
        fprintf(out, "user %s; # of the workers; the data directory is theirs\n",
                place->worker_user);
    if (serve->workers > 0)
        fprintf(out, "worker_processes %u;\n", serve->workers);
    else
        fputs("worker_processes auto; # one a processor\n", out);
    fputs("daemon off;\n", out);
    put_setting(out, "pid ", place->run_prefix, "pid");
    fputs("error_log stderr warn;\n"
          "worker_shutdown_timeout 30s; # for calls under way, at a stop or reload\n",
          out);
#ifdef X402_TEST_CLOCK
    fputs("env X402_TEST_CLOCK_FILE; # a test build: its clock can be moved\n", out);
#endif
    fputs("\nevents {\n    worker_connections 4096;\n}\n\n", out);
}

/* -------------------------------------------------------------------------- http */

static void put_files(FILE *out, const struct x402_serve_place *place)
{
    static const char *const names[] = {"client_body", "proxy", "fastcgi", "uwsgi",
                                        "scgi"};
    if (place->as_root) /* the distribution's own, made for its worker user */
        return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char setting[64], file[64];
        snprintf(setting, sizeof setting, "    %s_temp_path ", names[i]);
        snprintf(file, sizeof file, "/tmp-%s", names[i]);
        put_setting(out, setting, place->data_dir, file);
    }
    fputc('\n', out);
}

static void encode_rate(char *out, size_t out_max, const struct x402_rate *rate)
{
    if (rate->count == 0)
        snprintf(out, out_max, "off");
    else
        snprintf(out, out_max, "%ur/%s", rate->count,
                 rate->period_milliseconds == 1000 ? "s" : "m");
}

static void put_sale(FILE *out, const struct x402_serve *serve,
                     const struct x402_serve_place *place)
{
    char payee[X402_ADDRESS_TEXT_SIZE], caip2[X402_CAIP2_TEXT_SIZE], rate[32];
    encode_rate(rate, sizeof rate, &serve->rate);
    x402_address_encode(payee, serve->pay_to20);
    x402_caip2_encode(caip2, serve->network.chain_id);
    const char *name = serve->network.name[0] ? serve->network.name : caip2;
    put_setting(out, "    x402_ledger ", place->ledger, "");
    fprintf(out,
            "    x402_network %s; # %s, %s\n"
            "    x402_accept %s; # several may stand here\n"
            "    x402_pay_to %s;\n"
            "    x402_rate %s; # of one payer\n"
            "    x402_window %u; # seconds a payment is asked to be valid\n"
            "    # x402_public_url https://api.example.com; # as the world sees it\n",
            name, caip2, serve->network.asset_name, name, payee, rate,
            serve->window_seconds);
    fprintf(out, "    x402_enforce %s;%s\n\n", serve->shadow ? "off" : "on",
            serve->shadow ? " # nothing is charged: calls pass unpaid, and are counted"
                          : "");
}

static void put_bound(FILE *out, const char *name, uint64_t micro_usd, const char *what)
{
    char amount[X402_AMOUNT_TEXT_SIZE];
    x402_amount_encode(amount, micro_usd, 6);
    fprintf(out, "    %s %s; # %s\n", name, amount, what);
}

/* Who settles, for those who pay to know. */
static void put_facilitator(FILE *out, const struct x402_serve *serve)
{
    if (serve->facilitator.url == NULL)
        return;
    fputs("    x402_facilitator ", out);
    put_quoted(out, serve->facilitator.url);
    fputs("; # named in offers; x402 settle --facilitator asks it\n", out);
}

static void put_credit(FILE *out, const struct x402_serve *serve)
{
    const struct x402_serve_credit *credit = &serve->credit;
    put_facilitator(out, serve);
    if (serve->settle_first)
        fputs("    x402_settle before; # nothing is served before it has settled\n",
              out);
    else
        fputs(
            "    x402_settle after; # served first, within these bounds in dollars:\n",
            out);
    if (credit->off) {
        fputs("    x402_max_unsettled off;\n\n", out);
        return;
    }
    put_bound(out, "x402_max_unsettled", credit->payer_micro_usd, "of one payer");
    put_bound(out, "x402_max_unsettled_new", credit->new_payer_micro_usd,
              "of one whose balance is not known yet");
    put_bound(out, "x402_max_unsettled_total", credit->total_micro_usd, "of all");
    fputc('\n', out);
}

static void put_upstream(FILE *out, const struct x402_serve *serve)
{
    char server[X402_ENDPOINT_TEXT_SIZE];
    x402_endpoint_encode(server, &serve->upstream, false);
    fprintf(
        out,
        "    # One server that is never taken out of use. Its idle connections are\n"
        "    # closed before Node's default of 5 s would close them under a call.\n"
        "    upstream x402_upstream {\n"
        "        server %s max_fails=0;\n"
        "        keepalive 64;\n"
        "        keepalive_timeout 4s;\n"
        "    }\n\n",
        server);
}

/* The lines of packaging/nginx/x402-log.conf. */
static void put_log(FILE *out, const struct x402_serve_place *place)
{
    fputs(
        "    # A line of JSON a call; \"receipt\" is the payment's name in all logs.\n"
        "    map $status $x402_log_status {\n"
        "        default $status;\n"
        "        ~^0     0; # a request that was never read has \"000\", which is no "
        "JSON\n"
        "    }\n"
        "    log_format x402_json escape=json\n"
        "        '{\"time\":\"$time_iso8601\",\"id\":\"$request_id\",\"traceparent\":"
        "\"$http_traceparent\",'\n"
        "        '\"client\":\"$remote_addr\",\"method\":\"$request_method\",\"host\":"
        "\"$host\",'\n"
        "        '\"uri\":\"$request_uri\",\"agent\":\"$http_user_agent\",\"status\":"
        "$x402_log_status,'\n"
        "        '\"bytes\":$bytes_sent,\"seconds\":$request_time,'\n"
        "        '\"upstream\":\"$upstream_addr\",\"upstream_status\":"
        "\"$upstream_status\",'\n"
        "        '\"upstream_seconds\":\"$upstream_response_time\",'\n"
        "        '\"result\":\"$x402_result\",\"reason\":\"$x402_reason\",\"price\":"
        "\"$x402_price\",'\n"
        "        '\"payer\":\"$x402_payer\",\"network\":\"$x402_network\",\"value\":"
        "\"$x402_value\",'\n"
        "        '\"receipt\":\"$x402_receipt\",\"verify_seconds\":"
        "\"$x402_verify_time\",'\n"
        "        '\"admit_seconds\":\"$x402_admit_time\",\"call_seconds\":"
        "\"$x402_call_time\"}';\n",
        out);
    if (place->access_log[0] == '\0') {
        fputs("    access_log off; # the ledger has the payments; for a log:\n"
              "    # access_log /var/log/x402.json x402_json;\n\n",
              out);
        return;
    }
    fputs("    access_log ", out);
    put_quoted(out, place->access_log);
    fputs(" x402_json;\n\n", out);
}

static void put_http(FILE *out)
{
    fputs("    server_tokens off;\n"
          "    # A payment header has up to 6 KiB.\n"
          "    client_header_buffer_size 4k;\n"
          "    large_client_header_buffers 4 16k;\n"
          "    client_max_body_size 64m;\n\n"
          "    # Only WebSocket may leave HTTP: through any other upgrade (h2c) one\n"
          "    # paid call would open a tunnel for many.\n"
          "    map $http_upgrade $x402_upgrade {\n"
          "        default      \"\";\n"
          "        ~*^websocket$ websocket;\n"
          "    }\n"
          "    map $http_upgrade $x402_connection {\n"
          "        default      \"\";\n"
          "        ~*^websocket$ upgrade;\n"
          "    }\n\n",
          out);
}

/* ------------------------------------------------------------------------ server */

static void put_proxy_tls(FILE *out, const struct x402_serve *serve,
                          const struct x402_serve_place *place)
{
    fputs("\n        # The upstream must prove that it is who it is called.\n"
          "        proxy_ssl_server_name on;\n",
          out);
    fprintf(out, "        proxy_ssl_name %s;\n", serve->upstream.host);
    fputs("        proxy_ssl_protocols TLSv1.2 TLSv1.3;\n"
          "        proxy_ssl_verify on;\n"
          "        proxy_ssl_verify_depth 4;\n",
          out);
    put_setting(out, "        proxy_ssl_trusted_certificate ", place->ca_bundle, "");
}

static void put_proxy(FILE *out, const struct x402_serve *serve,
                      const struct x402_serve_place *place)
{
    char host[X402_ENDPOINT_TEXT_SIZE];
    x402_endpoint_encode(host, &serve->upstream, true);
    fprintf(
        out,
        "        # HTTP/1.1, so that an answer cut short shows: it is not charged.\n"
        "        proxy_http_version 1.1;\n"
        "        proxy_set_header Host %s;\n"
        "        proxy_set_header Connection $x402_connection;\n"
        "        proxy_set_header Upgrade $x402_upgrade;\n"
        "        proxy_set_header X-Real-IP $remote_addr;\n"
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
        "        proxy_set_header X-Forwarded-Proto $scheme;\n"
        "        proxy_set_header X-Forwarded-Host $http_host;\n"
        "        proxy_set_header X-402-Payer $x402_payer; # nobody else's word\n\n"
        "        # Streams pass as they come. No call is tried twice once it may have\n"
        "        # run, but for a broken idle connection.\n"
        "        proxy_buffering off;\n"
        "        proxy_buffer_size 16k;\n"
        "        proxy_buffers 8 16k;\n"
        "        proxy_next_upstream error;\n"
        "        proxy_connect_timeout 5s;\n"
        "        proxy_read_timeout 300s;\n",
        host);
    if (serve->upstream.tls)
        put_proxy_tls(out, serve, place);
}

/* What stands in every location that goes up. */
static void put_price(FILE *out, const struct x402_serve *serve, uint64_t micro_usd)
{
    char price[X402_AMOUNT_TEXT_SIZE];
    if (micro_usd > 0)
        x402_amount_encode(price, micro_usd, 6);
    fprintf(out,
            " {\n"
            "            x402_price %s;\n"
            "            proxy_pass %s://x402_upstream;\n"
            "        }\n",
            micro_usd > 0 ? price : "off", serve->upstream.tls ? "https" : "http");
}

/* A path as a regular expression: what is not a letter or digit loses its meaning. */
static void put_pattern(FILE *out, struct x402_slice path)
{
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (strchr(".()*+", c) != NULL)
            fputc('\\', out);
        fputc(c, out);
    }
}

static bool is_below(struct x402_slice path, struct x402_slice parent)
{
    return path.size > parent.size && path.data[parent.size] == '/' &&
           strncasecmp(path.data, parent.data, parent.size) == 0;
}

static bool has_rules_below(const struct x402_serve *serve,
                            const struct x402_serve_rule *rule)
{
    for (size_t i = 0; i < serve->rules_count; i++) {
        if (is_below(serve->rules[i].path, rule->path))
            return true;
    }
    return false;
}

/*
 * A path is a location for itself and one for what is below it. A sold path has a
 * pattern besides, for every spelling that a forgiving upstream reads as the same
 * (Express ignores case, Java servers ignore ";x"): nobody buys it at the price of
 * something else. "^~" keeps patterns away; a path with rules below it must not have
 * it, and then needs a pattern of its own, for they are tried in order, longest path
 * first.
 */
static void put_rule(FILE *out, const struct x402_serve *serve,
                     const struct x402_serve_rule *rule)
{
    bool sold = rule->micro_usd > 0;
    bool parent = has_rules_below(serve, rule);
    int size = (int)rule->path.size;
    fprintf(out, "\n        location = \"%.*s\"", size, rule->path.data);
    put_price(out, serve, rule->micro_usd);
    fprintf(out, "        location %s\"%.*s/\"", parent ? "" : "^~ ", size,
            rule->path.data);
    put_price(out, serve, rule->micro_usd);
    if (!sold && !parent)
        return;
    fprintf(out, "        location %s \"^", sold ? "~*" : "~");
    put_pattern(out, rule->path);
    fputs(sold ? "(?:[/;]|$)\"" : "(?:/|$)\"", out);
    put_price(out, serve, rule->micro_usd);
}

/* A page of figures, for whom it is by --status. */
static void put_figures(FILE *out, const char *location, const char *directive,
                        const struct x402_serve_place *place, const char *comment)
{
    fprintf(out,
            "        location %s {\n"
            "            x402_price off;\n"
            "            %s",
            location, directive);
    if (place->token[0] != '\0') {
        fputs(" private ", out);
        put_quoted(out, place->token);
        fputs(";\n        }\n", out);
    } else {
        fprintf(out, ";%s\n        }\n", comment);
    }
}

static void put_own_pages(FILE *out, const struct x402_serve_place *place)
{
    fputs(
        place->token[0] != '\0'
            ? "\n        # The gateway's own pages. The figures are for who has the "
              "token in the\n"
              "        # file, as a Bearer token or as a password with any user name.\n"
            : "\n        # The gateway's own pages. The figures are sums, without "
              "payers, "
              "for all\n"
              "        # to see; with `private FILE` they are for who has the token in "
              "FILE, and\n"
              "        # show all.\n",
        out);
    put_figures(out, "^~ /x402/status", "x402_status", place, "");
    put_figures(out, "= /x402/stats", "x402_stats", place,
                " # the status page's figures as JSON");
    put_figures(out, "= /x402/metrics", "x402_metrics", place,
                " # for Prometheus, on this machine\n"
                "            allow 127.0.0.1;\n"
                "            allow ::1;\n"
                "            deny all;");
    fputs(
        "        location = /x402/health {\n"
        "            x402_price off;\n"
        "            x402_health; # alive\n"
        "        }\n"
        "        location = /x402/ready {\n"
        "            x402_price off;\n"
        "            x402_ready; # payments can be taken and are settled; or why not\n"
        "        }\n"
        "        location ^~ /x402/receipts/ {\n"
        "            x402_price off;\n"
        "            x402_receipts; # whoever knows the receipt's name may read it\n"
        "        }\n"
        "        location ^~ /x402/ {\n"
        "            x402_price off;\n"
        "            return 404;\n"
        "        }\n",
        out);
}

static void put_server(FILE *out, const struct x402_serve *serve,
                       const struct x402_serve_place *place)
{
    char listen[X402_ENDPOINT_TEXT_SIZE];
    x402_endpoint_encode(listen, &serve->listen, false);
    fprintf(out, "    server {\n        listen %s;\n\n", listen);
    put_proxy(out, serve, place);
    fputs("\n        location /", out);
    put_price(out, serve, serve->micro_usd);
    if (serve->rules_count > 0)
        fputs(
            "\n        # Paths with a price of their own, and all below them; the "
            "longest\n"
            "        # counts. The pattern of a sold path takes every spelling that a\n"
            "        # forgiving upstream reads as the same; a free path is free as\n"
            "        # written.",
            out);
    for (size_t i = 0; i < serve->rules_count; i++)
        put_rule(out, serve, &serve->rules[i]);
    put_own_pages(out, place);
    fputs("    }\n", out);
}

void x402_serve_config_write(FILE *out, const struct x402_serve *serve,
                             const struct x402_serve_place *place)
{
    put_main(out, serve, place);
    fputs("http {\n", out);
    put_sale(out, serve, place);
    put_credit(out, serve);
    put_log(out, place);
    put_http(out);
    put_files(out, place);
    put_upstream(out, serve);
    put_server(out, serve, place);
    fputs("}\n", out);
}
