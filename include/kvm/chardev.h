/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Back ends of consoles: the terminal (standard input and output), a pseudo-terminal, a file or
 * pipe.
 *
 * A front end (serial port, virtio console, SCLP) writes bytes and is handed bytes; it never sees a
 * descriptor.
 */
#ifndef KVM_CHARDEV_H
#define KVM_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chardev;
struct event_loop;
struct vm_fate;

/**
 * struct chardev_frontend - the device that a chardev feeds
 * @room:    how many bytes it can take now; 0 stops input until chardev__resume()
 * @receive: takes @len bytes, at most what room() said
 *
 * Both run in the event loop's thread.
 */
struct chardev_frontend {
	size_t (*room)(void *ctx);
	void (*receive)(void *ctx, const uint8_t *data, size_t len);
	void *ctx;
};

/**
 * chardev__open_terminal - standard input and output
 *
 * Puts a terminal into raw mode (output processing stays on) and restores it in chardev__close(),
 * and on any signal that kills the process. Ctrl-a x reports FATE_USER_QUIT, Ctrl-a a sends Ctrl-a,
 * Ctrl-a h lists these. Works with a pipe, a file, or closed descriptors; end of file on input only
 * ends input.
 *
 * Return: a chardev, or NULL with the reason printed.
 */
struct chardev *chardev__open_terminal(struct event_loop *loop, struct vm_fate *fate);

/**
 * chardev__open - "pty" (its name is printed), "null", or the path of a terminal, FIFO or file
 *
 * Return: a chardev, or NULL with the reason printed.
 */
struct chardev *chardev__open(const char *spec, struct event_loop *loop);

/**
 * chardev__hang_up - from now on drop what the guest writes instead of waiting for a slow reader
 *
 * Before vCPU threads are joined: one of them may be waiting in chardev__write(). NULL is harmless.
 */
void chardev__hang_up(struct chardev *chr);

/**
 * chardev__close - flush, restore the terminal, free; NULL is harmless
 */
void chardev__close(struct chardev *chr);

/**
 * chardev__attach - connect the front end (or, with NULL, disconnect it)
 */
void chardev__attach(struct chardev *chr, const struct chardev_frontend *frontend);

/**
 * chardev__resume - the front end has room again; any thread
 */
void chardev__resume(struct chardev *chr);

/**
 * chardev__watch_for - be told when the guest has written a certain text
 * @text: its first character must not occur in it again; must outlive @chr
 * @fn:   called each time, in the thread that writes
 *
 * Before the guest runs. What is written is not changed or held back.
 */
void chardev__watch_for(struct chardev *chr, const char *text, void (*fn)(void *ctx), void *ctx);

/**
 * chardev__write - bytes from the guest; any thread
 *
 * A reader that has gone away loses them: the guest is not held up.
 */
void chardev__write(struct chardev *chr, const void *data, size_t len);

#endif
