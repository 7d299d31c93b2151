/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory balloon: takes memory back from a guest that has it to spare (Virtio 1.2,
 * section 5.5).
 *
 * The machine creates it; the commands that size it and ask for statistics call the rest, from any
 * thread.
 */
#ifndef KVM_VIRTIO_BALLOON_H
#define KVM_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

struct device_host;
struct json_writer;
struct virtio_device;

/* Kinds of statistics (5.5.6.4, and those that drivers have got since), in order of their tags. */
#define VIRTIO_BALLOON_NR_STATS 16

/**
 * struct virtio_balloon_stats - what the guest says of its memory
 * @valid: bit n: @value[n] was given
 * @value: bytes or events, by tag
 */
struct virtio_balloon_stats {
	uint32_t valid;
	uint64_t value[VIRTIO_BALLOON_NR_STATS];
};

/**
 * typedef virtio_balloon_stats_fn - the guest has answered
 * @stats: NULL if it never will: the device was reset
 *
 * Any thread, the balloon's locks held: it must not call back.
 */
typedef void (*virtio_balloon_stats_fn)(void *ctx, const struct virtio_balloon_stats *stats);

/**
 * virtio_balloon__create - a balloon, empty
 * @host:           its RAM is complete: no region is added later
 * @index:          of several; its name is "balloon" and this
 * @deflate_on_oom: the guest may take memory back before it kills processes
 *
 * Return: the device, for a transport; NULL without memory.
 */
struct virtio_device *virtio_balloon__create(const struct device_host *host, unsigned int index,
					     bool deflate_on_oom);

/**
 * virtio_balloon__set_target - how much memory the guest shall give
 * @bytes: rounded down to units of 4 KiB
 *
 * The guest comes near it in its own time, if it has a driver.
 *
 * Return: 0; -EINVAL if it is more than the guest has.
 */
int virtio_balloon__set_target(struct virtio_device *dev, uint64_t bytes);

/**
 * virtio_balloon__target, virtio_balloon__actual - what was asked for; what the guest says it has
 * given
 *
 * Return: bytes.
 */
uint64_t virtio_balloon__target(struct virtio_device *dev);
uint64_t virtio_balloon__actual(struct virtio_device *dev);

/**
 * virtio_balloon__allow_discard - whether memory that the guest gives may go back to the host
 *
 * Forbid it while something outside pins guest memory (VFIO): a page given back and used again
 * would be another one than the one pinned. Allowed to begin with; each call that forbids needs one
 * that allows. When it returns, nothing is being discarded any more if it forbids.
 */
void virtio_balloon__allow_discard(struct virtio_device *dev, bool allow);

/**
 * virtio_balloon__request_stats - ask the guest for statistics
 * @fn: called once if 0 is returned, perhaps before that
 *
 * Return: 0; -ENODEV if the guest has no driver that gives any; -EBUSY if there is a request
 * already, or if the guest has not answered the last.
 */
int virtio_balloon__request_stats(struct virtio_device *dev, virtio_balloon_stats_fn fn, void *ctx);

/**
 * virtio_balloon__write_stats - statistics as members of the JSON object that is open
 */
void virtio_balloon__write_stats(const struct virtio_balloon_stats *stats,
				 struct json_writer *json);

#endif
