/* Which addresses of the network a stranger's URL may lead us to. */
#ifndef X402_SERVICES_ADDRESS_H
#define X402_SERVICES_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Whether everybody on the Internet may reach this address, by IANA's special-purpose
 * registries (RFC 6890) for IPv4 and IPv6. An IPv4 address inside an IPv6 one (mapped,
 * or through NAT64) is judged as itself; any other family is not public. Pure.
 */
bool address_is_public(const struct sockaddr *address);

/*
 * Whether an interface of this machine has this address, or the IPv4 address inside it,
 * or whether that cannot be told: what listens there may be behind a firewall for
 * everybody else.
 */
bool address_is_ours(const struct sockaddr *address);

#endif
