"""The C++ text of ours that goes into a sandbox: what gives a checker its files."""

from __future__ import annotations

from typing import Final

CHECKER_FILES: Final = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
namespace {
// Runs before main. Three texts stand on the standard input, each behind its length and a line end; they become the
// files that a checker is called with, and the program starts over with their names as its arguments.
__attribute__((constructor)) void themis_checker_files(int argc, char **argv) {
    if (argc != 1) return;
    const char *names[] = {"input.txt", "output.txt", "answer.txt"};
    for (const char *name : names) {
        unsigned long size = 0;
        if (scanf("%lu", &size) != 1 || getchar() != '\n') _exit(3);
        FILE *file = fopen(name, "wb");
        if (!file) _exit(3);
        for (unsigned long i = 0; i < size; ++i) {
            int c = getchar();
            if (c == EOF) _exit(3);
            fputc(c, file);
        }
        if (fclose(file) != 0) _exit(3);
    }
    char *arguments[] = {argv[0], (char *)names[0], (char *)names[1], (char *)names[2], nullptr};
    execv("/proc/self/exe", arguments);
    _exit(3);
}
}
"""
"""Stands in front of a checker's source. A checker that is started so has its three files beside it, though sandboxes
that take one source and one input know neither files nor arguments. Exit status 3 means that the checker itself failed,
as with testlib."""
