/* The texts of web/, linked in; zero-terminated. */
#ifndef X402_NGINX_WEB_H
#define X402_NGINX_WEB_H

extern const char x402_web_paywall_html[];
extern const char x402_web_paywall_css[];
extern const char x402_web_paywall_js[];
extern const char x402_web_status_html[];
extern const char x402_web_status_css[];
extern const char x402_web_status_js[];

#endif
