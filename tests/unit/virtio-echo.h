/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device for tests of the core: what it does with a chain is up to the test.
 */
#ifndef TESTS_UNIT_VIRTIO_ECHO_H
#define TESTS_UNIT_VIRTIO_ECHO_H

#include "virtio-driver.h"

#define ECHO_MAX_HELD 256

/**
 * struct echo - the device
 * @hold:   keep chains until echo__finish()
 * @lazy:   leave them in the ring
 * @held:   those kept
 * @popped, @starts, @stops, @resets, @queue_resets, @notified: how often
 * @config: its configuration
 */
struct echo {
	struct virtio_device dev;
	bool hold, lazy;
	struct virtio_chain *held[ECHO_MAX_HELD];
	unsigned int nr_held;
	unsigned int popped, starts, stops, resets, queue_resets, queue_enables, notified, calls;
	int start_error;
	bool refuse, gone;
	bool *gone_flag;
	uint8_t config[32];
};

/* What comes in goes out again. */
static inline uint32_t echo__copy(struct virtio_chain *chain)
{
	uint8_t data[256];
	size_t len = virtio_chain__read(chain, 0, data, sizeof(data));

	return (uint32_t)virtio_chain__write(chain, 0, data, len);
}

static inline void echo__notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct echo *echo = (struct echo *)dev;
	struct virtio_chain *chain;

	echo->notified++;
	if (echo->lazy)
		return;
	do {
		virtqueue__disable_notify(q);
		while ((chain = virtqueue__pop(q))) {
			echo->popped++;
			if (echo->hold) {
				assert_true(echo->nr_held < ECHO_MAX_HELD);
				echo->held[echo->nr_held++] = chain;
			} else {
				virtqueue__push(q, chain, echo__copy(chain));
			}
		}
	} while (virtqueue__enable_notify(q));
	virtqueue__publish(q);
}

/* Complete the chain kept in place @i. */
static inline void echo__finish(struct echo *echo, unsigned int i)
{
	struct virtio_chain *chain = echo->held[i];
	struct virtqueue *q = chain->q;

	assert_true(virtqueue__lock(q));
	virtqueue__push(q, chain, echo__copy(chain));
	virtqueue__publish(q);
	virtqueue__unlock(q);
}

static inline int echo__start(struct virtio_device *dev)
{
	struct echo *echo = (struct echo *)dev;

	echo->starts++;
	return echo->start_error;
}

static inline void echo__stop(struct virtio_device *dev)
{
	struct echo *echo = (struct echo *)dev;

	for (unsigned int i = 0; i < dev->nr_queues; i++)
		assert_false(virtqueue__lock(virtio_device__queue(dev, i)));
	echo->stops++;
	echo->nr_held = 0;
}

static inline void echo__reset(struct virtio_device *dev)
{
	((struct echo *)dev)->resets++;
}

static inline void echo__queue_reset(struct virtio_device *dev, struct virtqueue *q)
{
	struct echo *echo = (struct echo *)dev;

	assert_false(virtqueue__lock(q));
	echo->queue_resets++;
	echo->nr_held = 0;
}

static inline int echo__queue_enable(struct virtio_device *dev, struct virtqueue *q)
{
	((struct echo *)dev)->queue_enables++;
	return 0;
}

static inline void echo__call_changed(struct virtio_device *dev, struct virtqueue *q)
{
	((struct echo *)dev)->calls++;
}

static inline bool echo__accept(struct virtio_device *dev, uint64_t features)
{
	return !((struct echo *)dev)->refuse;
}

static inline void echo__config_read(struct virtio_device *dev, uint32_t offset, void *data,
				     uint32_t len)
{
	assert_true(offset + len <= 32);
	memcpy(data, &((struct echo *)dev)->config[offset], len);
}

static inline void echo__config_write(struct virtio_device *dev, uint32_t offset, const void *data,
				      uint32_t len)
{
	assert_true(offset + len <= 32);
	memcpy(&((struct echo *)dev)->config[offset], data, len);
}

static inline void echo__destroy(struct virtio_device *dev)
{
	struct echo *echo = (struct echo *)dev;

	assert_int_equal(echo->starts, echo->stops + (echo->start_error != 0));
	if (echo->gone_flag)
		*echo->gone_flag = true;
	virtio_device__exit(dev);
	free(echo);
}

static const struct virtio_ops echo_ops = {
	.kind = "echo",
	.id = VIRTIO_ID_RNG,
	.config_size = 32,
	.accept_features = echo__accept,
	.start = echo__start,
	.stop = echo__stop,
	.queue_enable = echo__queue_enable,
	.queue_reset = echo__queue_reset,
	.reset = echo__reset,
	.notify = echo__notify,
	.call_changed = echo__call_changed,
	.config_read = echo__config_read,
	.config_write = echo__config_write,
	.destroy = echo__destroy,
};

static inline struct echo *echo__create(struct driver *d, unsigned int nr_queues)
{
	struct echo *echo = calloc(1, sizeof(*echo));

	assert_non_null(echo);
	assert_int_equal(
		virtio_device__init(&echo->dev, &echo_ops, &d->board.host, "echo0", nr_queues), 0);
	echo->dev.offered |= VIRTIO_OPTIONAL_FEATURES;
	return echo;
}

#endif
