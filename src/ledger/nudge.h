/*
 * A datagram that says "there is urgent work in the ledger": from the workers, which
 * wait for a settlement, to the settler, which otherwise looks once a second. Only the
 * ledger says what the work is; a nudge that is lost, forged or doubled changes nothing
 * but when it is looked at.
 *
 * The socket is the ledger's path with "-nudge" after it. Nothing here blocks.
 */
#ifndef X402_LEDGER_NUDGE_H
#define X402_LEDGER_NUDGE_H

/*
 * Listens. A socket left behind by a dead settler is replaced; -1 with errno when
 * another one listens (EADDRINUSE: it is nudged, this one looks by itself) or when the
 * path is too long or not writable. The file belongs to the ledger's owner.
 */
int x402_nudge_listen(const char *ledger_path);
void x402_nudge_close(int fd,
                      const char *ledger_path); /* removes the socket; -1 is fine */

/* Takes all nudges that have come. */
void x402_nudge_drain(int fd);

/* Nudges whoever listens. Any thread. */
void x402_nudge_send(const char *ledger_path);

#endif
