/*
 * Places where a test build can be made to die: X402_FAILPOINT=name[:n] in the
 * environment kills the process with SIGKILL the nth time (default 1) it comes by.
 * Builds without X402_TEST_CLOCK have nothing of this.
 */
#ifndef X402_CORE_FAILPOINT_H
#define X402_CORE_FAILPOINT_H

/* X(name): where it stands. The crash matrix reads this list. */
#define X402_FAILPOINTS(X)                                                             \
    X(worker_before_commit) /* a batch is with the ledger's thread, unwritten */       \
    X(worker_committed)     /* it is durable, and its requests do not know */          \
    X(worker_serving)       /* a request is about to go to the upstream */             \
    X(worker_header_sent)   /* the upstream answered; the caller has the header */     \
    X(worker_outcome)       /* an outcome is decided, and in memory only */            \
    X(worker_settling)      /* a payment waits for its settlement */                   \
    X(worker_settled)       /* it is settled, and about to be presented again */       \
    X(settler_simulated)    /* a batch passed; nothing is signed */                    \
    X(settler_signed)       /* signed, not stored */                                   \
    X(settler_stored)       /* stored, not sent */                                     \
    X(settler_sent)         /* sent; what the node said is not known yet */            \
    X(settler_replaced)     /* a replacement is stored, not sent */                    \
    X(settler_receipt)      /* a receipt was read; the ledger does not know */         \
    X(settler_advanced)     /* the verdicts are in the ledger */                       \
    X(settler_finalized)    /* final ones are */                                       \
    X(settler_balances)     /* balances were read; the ledger does not know */         \
    X(settler_remote_asked) /* a facilitator was asked; its answer is not known */     \
    X(settler_remote_told)  /* it answered; the ledger does not know */

#ifdef X402_TEST_CLOCK
void x402_failpoint(const char *name);
#define X402_FAILPOINT(name) x402_failpoint(#name)
#else
#define X402_FAILPOINT(name) ((void)0)
#endif

#endif
