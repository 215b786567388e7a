/*
 * Kills a process at the moment when it gets to an instruction.
 *
 *   die_at PID ADDRESS [COUNT]
 *
 * COUNT says at which time that it gets there, by default at the first.
 * Says "armed" when the trap is set and "killed" when it was sprung.  Exits
 * with 2 where tracing is not permitted or the machine is not known.
 */


#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>


#if defined(__x86_64__)

#define TRAP_MASK  0xffUL
#define TRAP       0xccUL

#elif defined(__aarch64__)

#define TRAP_MASK  0xffffffffUL
#define TRAP       0xd4200000UL

#else

#define TRAP       0UL
#define TRAP_MASK  0UL

#endif


static int
fail(const char *what)
{
    fprintf(stderr, "die_at: %s: %s\n", what, strerror(errno));

    return 2;
}


static int
poke(pid_t pid, uintptr_t address, long word)
{
    return ptrace(PTRACE_POKETEXT, pid, (void *) address, (void *) word)
           == -1 ? -1 : 0;
}


/* executes the instruction that the trap stands in place of */

static int
pass(pid_t pid, uintptr_t address, long word, long trap)
{
    int  status;

#if defined(__x86_64__)

    /* the process stands behind the trap */

    if (ptrace(PTRACE_POKEUSER, pid,
               (void *) offsetof(struct user, regs.rip), (void *) address)
        == -1)
    {
        return -1;
    }

#endif

    if (poke(pid, address, word) == -1
        || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == -1
        || waitpid(pid, &status, 0) == -1 || !WIFSTOPPED(status))
    {
        return -1;
    }

    return poke(pid, address, trap);
}


int
main(int argc, char *argv[])
{
    int        status, sig;
    long       word, trap, count;
    pid_t      pid;
    uintptr_t  address;

    if (argc < 3 || argc > 4 || TRAP == 0) {
        fprintf(stderr, "usage: die_at PID ADDRESS [COUNT]\n");
        return 2;
    }

    count = argc == 4 ? atol(argv[3]) : 1;

    pid = (pid_t) atol(argv[1]);
    address = (uintptr_t) strtoull(argv[2], NULL, 16);

    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) == -1
        || waitpid(pid, &status, 0) == -1)
    {
        return fail("attach");
    }

    errno = 0;
    word = ptrace(PTRACE_PEEKTEXT, pid, (void *) address, NULL);

    if (errno) {
        return fail("peek");
    }

    trap = (long) (((unsigned long) word & ~TRAP_MASK) | TRAP);

    if (poke(pid, address, trap) == -1) {
        return fail("poke");
    }

    printf("armed\n");
    fflush(stdout);

    sig = 0;

    for ( ;; ) {

        if (ptrace(PTRACE_CONT, pid, NULL, (void *) (intptr_t) sig) == -1
            || waitpid(pid, &status, 0) == -1)
        {
            return fail("continue");
        }

        if (!WIFSTOPPED(status)) {
            return 1;
        }

        sig = WSTOPSIG(status);

        if (sig != SIGTRAP) {
            continue;
        }

        if (--count <= 0) {
            break;
        }

        if (pass(pid, address, word, trap) == -1) {
            return fail("step");
        }

        sig = 0;
    }

    if (kill(pid, SIGKILL) == -1) {
        return fail("kill");
    }

    printf("killed\n");

    return 0;
}
