/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: file descriptors of back ends (terminal, disks, networks, timers) and what to do
 * when they are ready. One thread runs it; anyone may add and remove.
 */
#ifndef KVM_EVENT_H
#define KVM_EVENT_H

#include <stdint.h>

struct event_loop;
struct event;

/**
 * typedef event_fn - a descriptor is ready
 * @ctx:    as given to event__add()
 * @events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as they came
 *
 * Runs in the loop's thread. It may remove any event, its own included.
 */
typedef void (*event_fn)(void *ctx, uint32_t events);

/**
 * event_loop__create - Return: a loop, or NULL with the reason printed
 */
struct event_loop *event_loop__create(void);

/**
 * event_loop__destroy - free the loop and all events still in it; NULL is harmless
 */
void event_loop__destroy(struct event_loop *loop);

/**
 * event__add - watch a descriptor
 * @fd:     stays the caller's, and must stay open until event__remove()
 * @events: EPOLLIN and/or EPOLLOUT; level-triggered unless EPOLLET is given
 *
 * Return: a handle, or NULL (errno is set: EPERM for files that cannot be polled).
 */
struct event *event__add(struct event_loop *loop, int fd, uint32_t events, event_fn fn, void *ctx);

/**
 * event__modify - watch for something else (0: for nothing but errors and hang-up)
 *
 * Return: 0 or negative errno.
 */
int event__modify(struct event *event, uint32_t events);

/**
 * event__remove - stop watching
 *
 * When it returns, the callback does not run and will not run again (called from another thread it
 * waits for one that is running). NULL is harmless.
 */
void event__remove(struct event *event);

/**
 * event_loop__run - dispatch until event_loop__stop()
 *
 * Return: 0, or negative errno of epoll_wait.
 */
int event_loop__run(struct event_loop *loop);

/**
 * event_loop__stop - make event_loop__run() return; any thread, before or while it runs
 */
void event_loop__stop(struct event_loop *loop);

#endif
