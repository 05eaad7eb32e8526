/*
 * measure.c - run a command and print its wall time and peak memory
 *
 * Usage: measure COMMAND [ARGUMENT]...
 * Prints "SECONDS KIB\n" on stdout, where KIB is the largest resident set of
 * the command (wait4, ru_maxrss); what the command prints there goes nowhere.
 * Exits as the command does.
 */
#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void
run(char **argv)
{
    int null = open("/dev/null", O_WRONLY);

    if (null >= 0)
        dup2(null, STDOUT_FILENO);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

int
main(int argc, char **argv)
{
    struct rusage usage;
    double start = seconds(), end;
    int status;
    pid_t pid;

    if (argc < 2) {
        fputs("Usage: measure COMMAND [ARGUMENT]...\n", stderr);
        return 2;
    }
    pid = fork();
    if (pid == 0)
        run(argv + 1);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
        perror("measure");
        return 1;
    }
    end = seconds();
    printf("%.4f %ld\n", end - start, usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
