/*
 * Preloaded into nginx: while there is a file of the name in HOLD_SUM, the
 * cache manager waits when it has taken the sum of a record's first bytes, and
 * tells so by another file, of that name and ".held".
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


/* in hundredths of a second: a test that fails does not wait for ever */
#define LONGEST  2000


typedef int (*update_pt)(void *ctx, unsigned char *out, int *outl,
    const unsigned char *in, int inl);


int EVP_EncryptUpdate(void *ctx, unsigned char *out, int *outl,
    const unsigned char *in, int inl);


static int
is_manager(void)
{
    int      fd;
    char     buf[256];
    ssize_t  n;

    fd = open("/proc/self/cmdline", O_RDONLY);
    n = read(fd, buf, sizeof(buf) - 1);
    (void) close(fd);

    buf[n > 0 ? n : 0] = '\0';

    return strstr(buf, "cache manager") != NULL;
}


static void
hold(const char *name)
{
    int   i;
    char  held[1024];

    (void) snprintf(held, sizeof(held), "%s.held", name);
    (void) close(open(held, O_WRONLY|O_CREAT, 0600));

    for (i = 0; i < LONGEST && access(name, F_OK) == 0; i++) {
        (void) usleep(10000);
    }
}


int
EVP_EncryptUpdate(void *ctx, unsigned char *out, int *outl,
    const unsigned char *in, int inl)
{
    int          rc;
    const char  *name;

    static update_pt  update;

    if (update == NULL) {
        *(void **) &update = dlsym(RTLD_NEXT, "EVP_EncryptUpdate");
    }

    rc = update(ctx, out, outl, in, inl);
    name = getenv("HOLD_SUM");

    if (name && out == NULL && inl > 4 && memcmp(in, "LLMR", 4) == 0
        && access(name, F_OK) == 0 && is_manager())
    {
        hold(name);
    }

    return rc;
}
