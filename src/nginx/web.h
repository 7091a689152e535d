/* The texts of web/, linked in; zero-terminated. */
#ifndef X402_NGINX_WEB_H
#define X402_NGINX_WEB_H

extern const char x402_web_paywall_html[];
extern const char x402_web_paywall_css[];
extern const char x402_web_paywall_js[];
extern const char x402_web_status_html[];

/* All of them by name ("status.css"); the last has none. */
struct x402_web_text {
    const char *name;
    const char *text;
};
extern const struct x402_web_text x402_web_texts[];

#endif
