/*
 * Kills a process at the moment when it gets to an instruction.
 *
 *   die_at PID ADDRESS
 *
 * Says "armed" when the trap is set and "killed" when it was sprung.  Exits
 * with 2 where tracing is not permitted or the machine is not known.
 */


#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
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


int
main(int argc, char *argv[])
{
    int        status, sig;
    long       word;
    pid_t      pid;
    uintptr_t  address;

    if (argc != 3 || TRAP == 0) {
        fprintf(stderr, "usage: die_at PID ADDRESS\n");
        return 2;
    }

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

    word = (long) (((unsigned long) word & ~TRAP_MASK) | TRAP);

    if (ptrace(PTRACE_POKETEXT, pid, (void *) address, (void *) word) == -1) {
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

        if (sig == SIGTRAP) {
            break;
        }
    }

    if (kill(pid, SIGKILL) == -1) {
        return fail("kill");
    }

    printf("killed\n");

    return 0;
}
