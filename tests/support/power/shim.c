/*
 * Records what a program does to the files below POWER_ROOT, to replay a power loss later.
 *
 * Preloaded (LD_PRELOAD), it calls the C library and, once a call has succeeded, appends one
 * record to POWER_LOG in a single write: so the log has each call before anything that its
 * caller does next, also in another process. Format: tests/support/power/__init__.py.
 *
 * With POWER_ERROR, calls below the root fail with that number from the POWER_AFTER-th on: a
 * full disk (ENOSPC: what needs room), a file system that became read-only (EROFS: all that
 * changes it), too many open files (EMFILE: what opens, anywhere).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_length;
static int error;
static long after, calls;

struct head {
    char kind;
    uint8_t unused[3];
    uint32_t first, second; /* lengths of two texts, or of a text and data */
    uint32_t unused2;
    uint64_t inode, offset;
} __attribute__((packed));

__attribute__((constructor)) static void begin(void) {
    const char *place = getenv("POWER_ROOT"), *file = getenv("POWER_LOG");
    if (!place || !file || !realpath(place, root)) return;
    root_length = strlen(root);
    if (getenv("POWER_ERROR")) error = atoi(getenv("POWER_ERROR"));
    if (getenv("POWER_AFTER")) after = atol(getenv("POWER_AFTER"));
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    /* A high number: programs close and reuse the low ones. */
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, fd);
}

/* Whether a call fails now; *kind* is w (writes), c (creates or opens to write), n (names), o. */
static int fails(char kind) {
    if (!error) return 0;
    if (error == ENOSPC && kind != 'w' && kind != 'c') return 0;
    if (error == EROFS && kind == 'o') return 0;
    if (error == EMFILE && kind != 'o' && kind != 'c') return 0;
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) < after) return 0;
    errno = error;
    return 1;
}

static int is_ours(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static void note(char kind, uint64_t inode, uint64_t offset, const void *first, size_t a,
                 const void *second, size_t b) {
    int before = errno;
    struct head head = {.kind = kind, .first = a, .second = b, .inode = inode, .offset = offset};
    char *record = malloc(sizeof head + a + b);
    if (!record) abort();
    memcpy(record, &head, sizeof head);
    memcpy(record + sizeof head, first, a);
    memcpy(record + sizeof head + a, second, b);
    if (syscall(SYS_write, log_fd, record, sizeof head + a + b) != (long)(sizeof head + a + b))
        abort();
    free(record);
    errno = before;
}

/* The path of an open file below the root: 1, and what fstat says of it. */
static int find(int fd, char *path, struct stat *about) {
    if (log_fd < 0) return 0;
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_ours(path) && !fstat(fd, about);
}

/* The whole path of a name given to a call. */
static int resolve(int folder, const char *name, char *path) {
    if (log_fd < 0) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        char link[40], base[PATH_MAX];
        if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0) return 0;
        base[length] = 0;
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    return is_ours(path);
}

static int opened(int fd, int flags) {
    char path[PATH_MAX];
    struct stat about;
    if (fd >= 0 && find(fd, path, &about) && S_ISREG(about.st_mode)) {
        if (flags & O_CREAT) note('C', about.st_ino, 0, path, strlen(path), "", 0);
        if (flags & O_TRUNC) note('T', about.st_ino, 0, "", 0, "", 0);
    }
    return fd;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); \
        mode = va_arg(list, mode_t); va_end(list); }

/* Whether opening fails; a file that is there needs no room. */
static int refuses(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (!error || log_fd < 0) return 0;
    if (error == EMFILE) return fails('o');
    if (!(flags & (O_CREAT | O_WRONLY | O_RDWR)) || !resolve(folder, name, path)) return 0;
    if (error == ENOSPC && (!(flags & O_CREAT) || !access(path, F_OK))) return 0;
    return fails('c');
}

int open(const char *path, int flags, ...) {
    MODE(flags) if (refuses(AT_FDCWD, path, flags)) return -1;
    return opened(REAL(open)(path, flags, mode), flags);
}
int open64(const char *path, int flags, ...) {
    MODE(flags) if (refuses(AT_FDCWD, path, flags)) return -1;
    return opened(REAL(open64)(path, flags, mode), flags);
}
int openat(int folder, const char *path, int flags, ...) {
    MODE(flags) if (refuses(folder, path, flags)) return -1;
    return opened(REAL(openat)(folder, path, flags, mode), flags);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags) if (refuses(folder, path, flags)) return -1;
    return opened(REAL(openat64)(folder, path, flags, mode), flags);
}

/* Whether a write to an open file fails. */
static int full(int fd) {
    char path[PATH_MAX];
    struct stat about;
    return error && error != EMFILE && fd != log_fd && find(fd, path, &about) && fails('w');
}

/* Whether a change of names fails. */
static int kept(int folder, const char *name) {
    char path[PATH_MAX];
    return error == EROFS && resolve(folder, name, path) && fails('n');
}

static void wrote(int fd, const void *data, ssize_t length, int64_t offset) {
    char path[PATH_MAX];
    struct stat about;
    if (length > 0 && fd != log_fd && find(fd, path, &about) && S_ISREG(about.st_mode)) {
        if (offset < 0) offset = lseek(fd, 0, SEEK_CUR) - length;
        note('W', about.st_ino, offset, "", 0, data, length);
    }
}
ssize_t write(int fd, const void *data, size_t length) {
    if (full(fd)) return -1;
    ssize_t done = REAL(write)(fd, data, length);
    wrote(fd, data, done, -1);
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    if (full(fd)) return -1;
    ssize_t done = REAL(pwrite)(fd, data, length, offset);
    wrote(fd, data, done, offset);
    return done;
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    if (full(fd)) return -1;
    ssize_t done = REAL(pwrite64)(fd, data, length, offset);
    wrote(fd, data, done, offset);
    return done;
}

static int changed(int fd, int done, char kind, uint64_t offset) {
    char path[PATH_MAX];
    struct stat about;
    if (!done && find(fd, path, &about)) {
        if (S_ISDIR(about.st_mode)) note('D', 0, 0, path, strlen(path), "", 0);
        else note(kind, about.st_ino, offset, "", 0, "", 0);
    }
    return done;
}
int ftruncate(int fd, off_t size) { return changed(fd, REAL(ftruncate)(fd, size), 'T', size); }
int ftruncate64(int fd, off64_t size) {
    return changed(fd, REAL(ftruncate64)(fd, size), 'T', size);
}
int fsync(int fd) { return changed(fd, REAL(fsync)(fd), 'F', 0); }
int fdatasync(int fd) { return changed(fd, REAL(fdatasync)(fd), 'F', 0); }

static int named(int done, char kind, int from, const char *name, int to, const char *other) {
    char first[PATH_MAX], second[PATH_MAX] = "";
    if (!done && resolve(from, name, first) && (!other || resolve(to, other, second)))
        note(kind, 0, 0, first, strlen(first), second, strlen(second));
    return done;
}
int rename(const char *a, const char *b) {
    if (kept(AT_FDCWD, b)) return -1;
    return named(REAL(rename)(a, b), 'R', AT_FDCWD, a, AT_FDCWD, b);
}
int renameat(int x, const char *a, int y, const char *b) {
    if (kept(y, b)) return -1;
    return named(REAL(renameat)(x, a, y, b), 'R', x, a, y, b);
}
int link(const char *a, const char *b) {
    if (kept(AT_FDCWD, b)) return -1;
    return named(REAL(link)(a, b), 'L', AT_FDCWD, a, AT_FDCWD, b);
}
int linkat(int x, const char *a, int y, const char *b, int flags) {
    if (kept(y, b)) return -1;
    return named(REAL(linkat)(x, a, y, b, flags), 'L', x, a, y, b);
}
int unlink(const char *a) {
    if (kept(AT_FDCWD, a)) return -1;
    return named(REAL(unlink)(a), 'U', AT_FDCWD, a, AT_FDCWD, NULL);
}
int unlinkat(int x, const char *a, int flags) {
    if (kept(x, a)) return -1;
    return named(REAL(unlinkat)(x, a, flags), 'U', x, a, AT_FDCWD, NULL);
}
