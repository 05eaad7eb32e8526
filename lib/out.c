/*
 * out.c - temporaries and renames
 *
 * Everything happens relative to a descriptor of the folder that the target is
 * in, so that neither a change of the working directory nor a rename above it
 * can lead elsewhere.
 */
#include <config.h>

#include "out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 64 }; /* of a folder that is removed */

/* How folders are opened. */
enum { FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

#define TEMP_CHARS sizeof ".dfx-XXXXXX.tmp"

struct dfx_out {
    char *dst;  /* owned: for messages, without slashes at the end */
    char *base; /* in dst: the last part */
    int parent; /* the folder that base is in */
    int made;   /* the temporary: a file or a folder; -1: none */
    char temp[TEMP_CHARS];
    dfx_out_options options;
};

void
dfx_error_in_output(dfx_error *err, const char *dst, const char *path)
{
    char name[DFX_ERROR_CHARS];

    snprintf(name, sizeof name, "%s%s%s", dst, path[0] != '\0' ? "/" : "",
             path);
    dfx_error_in_file(err, name);
}

static dfx_status
fail_write(dfx_error *err, const char *dst, const char *path, int errno_value)
{
    char reason[128];
    dfx_status status = dfx_fail(
        err, DFX_RULE_OUT_WRITE, DFX_NO_OFFSET, "cannot be written: %s",
        strerror_r(errno_value, reason, sizeof reason));

    dfx_error_in_output(err, dst, path);
    return status;
}

static dfx_status
fail_exists(dfx_error *err, const char *path, const char *why)
{
    dfx_status status =
        dfx_fail(err, DFX_RULE_OUT_EXISTS, DFX_NO_OFFSET, "%s", why);

    dfx_error_in_file(err, path);
    return status;
}

/* ---- Removing --------------------------------------------------------- */

/* Removes a file, a link, or a folder with all in it. Follows no link. On
   false errno has a reason. */
static bool
remove_tree(int parent, const char *name, unsigned depth)
{
    struct dirent *entry;
    bool good = true;
    DIR *dir;
    int fd;

    if (unlinkat(parent, name, 0) == 0)
        return true;
    if ((errno != EISDIR && errno != EPERM) || depth == 0)
        return false;
    fd = openat(parent, name, FOLDER);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (;;) {
        entry = readdir(dir);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            good = remove_tree(dirfd(dir), entry->d_name, depth - 1) && good;
    }
    closedir(dir);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 && good;
}

/* The temporary's name still means what we made. */
static bool
is_ours(const dfx_out *out)
{
    struct stat named, made;

    return out->made >= 0 && fstat(out->made, &made) == 0 &&
           fstatat(out->parent, out->temp, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_dev == made.st_dev && named.st_ino == made.st_ino;
}

static void
out_free(dfx_out *out)
{
    if (out->made >= 0)
        close(out->made);
    if (out->parent >= 0)
        close(out->parent);
    free(out->dst);
    free(out);
}

void
dfx_out_abort(dfx_out *out)
{
    if (out == NULL)
        return;
    if (is_ours(out))
        remove_tree(out->parent, out->temp, MAX_DEPTH);
    out_free(out);
}

/* ---- Beginning -------------------------------------------------------- */

/* Splits dst and opens the folder that it is in. */
static dfx_status
open_parent(dfx_out *out, const char *dst, dfx_error *err)
{
    size_t n = strlen(dst);
    char *slash;

    while (n > 1 && dst[n - 1] == '/')
        n--;
    out->dst = strndup(dst, n);
    if (out->dst == NULL)
        return dfx_fail_nomem(err);
    slash = strrchr(out->dst, '/');
    out->base = slash == NULL ? out->dst : slash + 1;
    if (out->base[0] == '\0' || strcmp(out->base, ".") == 0 ||
        strcmp(out->base, "..") == 0)
        return dfx_fail_usage(err, "\"%s\" is no name for an output", dst);
    if (slash == NULL) {
        out->parent = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else if (slash == out->dst) {
        out->parent = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        *slash = '\0';
        out->parent = open(out->dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *slash = '/';
    }
    return out->parent < 0 ? fail_write(err, out->dst, "", errno) : DFX_OK;
}

/* Something at the top of what is to be written has that name. */
static bool
is_written(const dfx_out_options *options, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < options->file_count; i++) {
        const char *path = options->files[i].path;

        if (strncmp(path, name, n) == 0 && (path[n] == '/' || path[n] == '\0'))
            return true;
    }
    return false;
}

/* The names at the top of the folder that is there; *names is owned, and so is
   each of them. */
static bool
list_target(const dfx_out *out, char ***names, size_t *count)
{
    int fd = openat(out->parent, out->base, FOLDER);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    size_t capacity = 0;
    bool good = dir != NULL;

    if (dir == NULL && fd >= 0)
        close(fd);
    while (good && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        good = dfx_grow(names, &capacity, *count, sizeof **names) &&
               ((*names)[*count] = strdup(entry->d_name)) != NULL;
        *count += good;
    }
    if (dir != NULL)
        closedir(dir);
    return good;
}

/* What is there is a model of this format, or all of it comes again. */
static bool
is_replaceable(const dfx_out *out)
{
    char **names = NULL;
    size_t count = 0;
    bool comes_again = list_target(out, &names, &count);
    bool is_ours = comes_again && out->options.is_ours != NULL &&
                   out->options.is_ours((const char *const *)names, count);

    for (size_t i = 0; i < count; i++) {
        comes_again = comes_again && is_written(&out->options, names[i]);
        free(names[i]);
    }
    free(names);
    return is_ours || comes_again;
}

/* *exists is whether there is something to replace that may be replaced. */
static dfx_status
check_target(const dfx_out *out, bool *exists, dfx_error *err)
{
    const char *dst = out->dst;
    struct stat st;

    *exists = false;
    if (fstatat(out->parent, out->base, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DFX_OK : fail_write(err, dst, "", errno);
    if (!out->options.force)
        return fail_exists(err, dst, "is there already");
    if (S_ISDIR(st.st_mode)) {
        if (!out->options.is_folder)
            return fail_exists(err, dst, "is a folder, which no file replaces");
        if (!is_replaceable(out))
            return fail_exists(err, dst,
                               "is a folder that holds no model at its top");
    } else if (S_ISREG(st.st_mode)) {
        if (out->options.is_folder)
            return fail_exists(err, dst, "is a file, which no folder replaces");
    } else if (!S_ISLNK(st.st_mode)) {
        return fail_exists(err, dst, "is neither a file nor a folder");
    }
    *exists = true;
    return DFX_OK;
}

/* A random name for a temporary. */
static bool
name_temp(char temp[TEMP_CHARS])
{
    static const char letters[32] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char noise[6];
    char text[sizeof noise + 1] = "";

    if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
        return false;
    for (size_t i = 0; i < sizeof noise; i++)
        text[i] = letters[noise[i] % sizeof letters];
    snprintf(temp, TEMP_CHARS, ".dfx-%s.tmp", text);
    return true;
}

/* Permissions as for any new file: what the umask leaves. */
static int
make_temp(const dfx_out *out)
{
    int made, reason;

    if (!out->options.is_folder)
        return openat(out->parent, out->temp,
                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (mkdirat(out->parent, out->temp, 0777) != 0)
        return -1;
    made = openat(out->parent, out->temp, FOLDER);
    if (made < 0) {
        reason = errno;
        unlinkat(out->parent, out->temp, AT_REMOVEDIR);
        errno = reason;
    }
    return made;
}

dfx_status
dfx_out_begin(const char *dst, const dfx_out_options *options, dfx_out **out,
              dfx_error *err)
{
    dfx_out *made = calloc(1, sizeof *made);
    dfx_status status;
    bool exists;

    if (made == NULL)
        return dfx_fail_nomem(err);
    made->parent = made->made = -1;
    made->options = *options;
    status = open_parent(made, dst, err);
    if (status == DFX_OK)
        status = check_target(made, &exists, err);
    if (status != DFX_OK) {
        dfx_out_abort(made);
        return status;
    }
    do {
        if (!name_temp(made->temp))
            break;
        made->made = make_temp(made);
    } while (made->made < 0 && errno == EEXIST);
    if (made->made < 0) {
        status = fail_write(err, made->dst, "", errno);
        dfx_out_abort(made);
        return status;
    }
    *out = made;
    return DFX_OK;
}

/* ---- Writing ---------------------------------------------------------- */

/* Makes the folders of path below root, and the file. path is changed on the
   way and back again. */
static int
make_file(int root, char *path)
{
    char *slash = strchr(path, '/');

    for (; slash != NULL; slash = strchr(slash + 1, '/')) {
        int made;

        *slash = '\0';
        made = mkdirat(root, path, 0777);
        *slash = '/';
        if (made != 0 && errno != EEXIST)
            return -1;
    }
    return openat(root, path,
                  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

dfx_status
dfx_out_file(dfx_out *out, const char *path, uint64_t size, int *fd,
             dfx_error *err)
{
    int made, reason;

    if (out->options.is_folder) {
        char *own = strdup(path);

        if (own == NULL)
            return dfx_fail_nomem(err);
        made = make_file(out->made, own);
        free(own);
    } else {
        path = "";
        made = fcntl(out->made, F_DUPFD_CLOEXEC, 0);
    }
    if (made >= 0 && ftruncate(made, (off_t)size) == 0) { /* fits: the plan */
        *fd = made;
        return DFX_OK;
    }
    reason = errno;
    if (made >= 0)
        close(made);
    return fail_write(err, out->dst, path, reason);
}

dfx_status
dfx_out_close(const dfx_out *out, int fd, dfx_error *err)
{
    char reason[128];
    bool synced = !out->options.sync || fsync(fd) == 0;

    /* Where a file system has promised space that it has not got (NFS, quotas)
       this is the last moment that it can say so. */
    if (close(fd) == 0 && synced)
        return DFX_OK;
    return dfx_fail(err, DFX_RULE_OUT_WRITE, DFX_NO_OFFSET,
                    "cannot be written: %s",
                    strerror_r(errno, reason, sizeof reason));
}

/* ---- Committing ------------------------------------------------------- */

/* Brings the names in a folder and below to the disk; takes fd. */
static bool
sync_folders(int fd)
{
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    bool good = true;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (;;) {
        struct stat st;

        entry = readdir(dir);
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        /* As deep as a path of the plan, which made them. */
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (S_ISDIR(st.st_mode) &&
             !sync_folders(openat(fd, entry->d_name, FOLDER))))
            good = false;
    }
    good = fsync(fd) == 0 && good;
    closedir(dir);
    return good;
}

static bool
sync_names(const dfx_out *out)
{
    return !out->options.sync || !out->options.is_folder ||
           sync_folders(openat(out->made, ".", FOLDER));
}

/* renameat2, or -1 and ENOSYS where the file system or the kernel lacks it. */
static int
rename_with(const dfx_out *out, unsigned flags)
{
    int result =
        renameat2(out->parent, out->temp, out->parent, out->base, flags);

    if (result != 0 && errno == EINVAL)
        errno = ENOSYS;
    return result;
}

static int
rename_plainly(const dfx_out *out)
{
    return renameat(out->parent, out->temp, out->parent, out->base);
}

/* Nothing is at the target, or was when we looked last. */
static int
rename_new(const dfx_out *out)
{
    int result = rename_with(out, RENAME_NOREPLACE);

    return result != 0 && errno == ENOSYS ? rename_plainly(out) : result;
}

/*
 * Exchanges the folders; old is the name that the old one has then. Where the
 * file system cannot, the old one is moved away first: only there can a crash
 * between the two find no target (but both folders, under temporary names).
 */
static int
replace_folder(const dfx_out *out, char old[TEMP_CHARS])
{
    int reason;

    memcpy(old, out->temp, TEMP_CHARS);
    if (rename_with(out, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno != ENOSYS || !name_temp(old) ||
        renameat(out->parent, out->base, out->parent, old) != 0)
        return -1;
    if (rename_plainly(out) == 0)
        return 0;
    reason = errno;
    renameat(out->parent, old, out->parent, out->base);
    errno = reason;
    return -1;
}

static dfx_status
put_in_place(const dfx_out *out, dfx_error *err)
{
    char old[TEMP_CHARS] = "";
    bool exists = false;
    int result;

    /* Again: much may have happened since the beginning. */
    DFX_TRY(check_target(out, &exists, err));
    if (!is_ours(out))
        return fail_write(err, out->dst, "", ESTALE);
    if (!sync_names(out))
        return fail_write(err, out->dst, "", errno);
    if (!exists)
        result = rename_new(out);
    else if (out->options.is_folder)
        result = replace_folder(out, old);
    else
        result = rename_plainly(out);
    if (result != 0)
        return errno == EEXIST || errno == ENOTEMPTY
                   ? fail_exists(err, out->dst, "is there already")
                   : fail_write(err, out->dst, "", errno);
    if (old[0] != '\0' && !remove_tree(out->parent, old, MAX_DEPTH)) {
        dfx_status status = dfx_fail_io(
            err, errno, "is written; what it replaced is left in %s", old);

        dfx_error_in_file(err, out->dst);
        return status;
    }
    if (out->options.sync && fsync(out->parent) != 0)
        return fail_write(err, out->dst, "", errno);
    return DFX_OK;
}

dfx_status
dfx_out_commit(dfx_out *out, dfx_error *err)
{
    dfx_status status = put_in_place(out, err);

    if (status == DFX_OK)
        out_free(out);
    else
        dfx_out_abort(out); /* removes nothing that has its final name */
    return status;
}

/* ---- Inputs ----------------------------------------------------------- */

dfx_status
dfx_out_check_input(const char *dst, const char *input, dfx_error *err)
{
    char path[PATH_MAX];
    struct stat target, st;
    char *slash;

    if (stat(dst, &target) != 0 || realpath(input, path) == NULL)
        return DFX_OK; /* nothing there to destroy */
    for (;;) {
        if (stat(path[0] == '\0' ? "/" : path, &st) == 0 &&
            st.st_dev == target.st_dev && st.st_ino == target.st_ino)
            return dfx_fail_usage(err,
                                  "%s is an input, or the folder of one, and "
                                  "would be replaced",
                                  dst);
        slash = strrchr(path, '/');
        if (slash == NULL)
            return DFX_OK;
        *slash = '\0';
    }
}
