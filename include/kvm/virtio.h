/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio (Virtual I/O Device 1.2, OASIS): what a device is to the core, and the queues it is
 * handed.
 *
 * A device is one file that knows neither its transport nor the format of its rings. It embeds
 * struct virtio_device first, describes itself in its constructor, and hands itself to a transport,
 * which owns it from then on:
 *
 *	struct virtio_device *virtio_rng__create(const struct device_host *host, const struct
 * virtio_rng_config *cfg)
 *	{
 *		struct virtio_rng *rng = calloc(1, sizeof(*rng));
 *		...
 *		if (virtio_device__init(&rng->dev, &rng_ops, host, "rng0", 1))
 *			(free rng, return NULL)
 *		virtio_device__set_queue_size(&rng->dev, 0, 64);	(optional)
 *		rng->dev.offered |= ...;				(its own feature bits)
 *		return &rng->dev;
 *	}
 *
 *	device__add(&devices, virtio_pci__create(pci, virtio_rng__create(host, &cfg), &pci_cfg));
 *
 * The usual notification:
 *
 *	static void blk_notify(struct virtio_device *dev, struct virtqueue *q)
 *	{
 *		struct virtio_chain *chain;
 *
 *		do {
 *			virtqueue__disable_notify(q);
 *			while ((chain = virtqueue__pop(q)))
 *				(keep it, or virtqueue__push(q, chain, written) at once)
 *		} while (virtqueue__enable_notify(q));
 *		virtqueue__publish(q);
 *	}
 *
 * Locks and threads. There are three locks, taken in this order, and none of them is the device's
 * own:
 *
 *  1. The control lock. start, stop, queue_enable, queue_reset, accept_features, config_read and
 *     config_write run under it, in a vCPU's thread or, when the machine is reset or torn down, in
 *     the main thread: never two of them at once. A device never takes it, so a device never waits
 *     for it.
 *  2. A queue's lock. notify runs under it, in the thread of dev->loop. Every virtqueue__ function
 *     that is not marked "any thread" is called with it held. Whatever else touches a queue (a
 *     completion, a back end, a timer, a worker thread) brackets that with virtqueue__lock() and
 *     virtqueue__unlock(). Two queues are never locked at once.
 *  3. The configuration lock, a leaf: config_read and config_write run under it too. Whatever else
 *     changes the bytes that config_read shows brackets that with virtio_device__config_begin() and
 *     virtio_device__config_end().
 *
 * virtqueue__lock() fails unless the queue runs: from start to stop, while it is enabled, and
 * nothing is wrong with the device. So a completion that comes too late finds out, and drops what
 * it has.
 *
 * stop. When it is called, no notify runs or will run and virtqueue__lock() fails for all queues,
 * but no queue's lock is held. When it returns, nothing may be in flight: no thread, no
 * asynchronous I/O of the host may touch guest memory or a chain any more. So it waits for what it
 * cannot cancel, without counting on dev->loop, which may not be running (machine reset): it reaps
 * completions itself. Then all chains are taken back by the core, whether they were pushed or not;
 * the device forgets its pointers to them. Its own state is as after virtio_device__init() again.
 * event__remove() is safe in stop: it waits for a callback that is running; it is not safe with a
 * queue's lock held, unless in the loop's own thread. queue_reset is the same for one queue, while
 * the others go on.
 *
 * A guest that breaks the rules: virtio_device__fail() from any thread under any lock. The device
 * then needs a reset (2.1.2): queues stop, the guest is told, one line is printed. The core does
 * that for everything that can be wrong with a ring; a device does it for requests that cannot be
 * answered (no room for a status, header cut short). A chain in hand may be dropped.
 */
#ifndef KVM_VIRTIO_H
#define KVM_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "kvm/device.h"

#define VIRTIO_MAX_QUEUES     1024
#define VIRTIO_MAX_QUEUE_SIZE 1024
#define VIRTIO_MAX_CHAIN      1024 /* descriptors in a chain, those of an indirect table included */
#define VIRTIO_QUEUE_SIZE     256  /* what a queue has unless its device asks for something else */

#define VIRTIO_BIT(feature) (1ull << (feature))

/* What the core does for every device whose constructor does not clear the bit in dev->offered. */
#define VIRTIO_COMMON_FEATURES                                                      \
	(VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
	 VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_F_RING_RESET))

/* What it does for those that ask for it, or whose user does (section 6). */
#define VIRTIO_OPTIONAL_FEATURES                                                   \
	(VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) | \
	 VIRTIO_BIT(VIRTIO_F_IN_ORDER))

struct event;
struct event_loop;
struct virtio_device;
struct virtio_transport;
struct virtqueue;

/**
 * struct virtio_ops - a kind of device; NULL where there is nothing to do
 * @kind:            as in messages and state files ("virtio-blk")
 * @id:              VIRTIO_ID_… (section 5)
 * @pci_class:       0xccsspp for the PCI transport; 0: 0x00ff00, "other"
 * @config_size:     bytes of device-specific configuration (2.5), at most 2048; the device may make
 *                   dev->config_size another before it goes to its transport
 * @realize:         the transport has been realized and dev->loop exists: open what has not been
 *                   opened; 0 or negative errno (printed). After a failure destroy is called
 * @accept_features: whether the device can work with the subset that the driver has chosen (2.2.2);
 *                   it always is a subset of what was offered
 * @start:           DRIVER_OK (3.1.1): dev->features is what was negotiated, queues are about to
 *                   run; negative errno (not printed): the device needs a reset
 * @stop:            see above; called once after each start that succeeded
 * @queue_enable:    a queue was enabled while the device ran (after queue_reset; 2.6.1)
 * @queue_reset:     see above; NULL only if no chain is ever kept beyond the call that popped it
 * @reset:           every reset, after stop if it ran: what the driver has written to configuration
 *                   is as at power-on
 * @notify:          the driver has made buffers available, or the queue has just started; spurious
 *                   calls happen
 * @call_changed:    what virtqueue__call_fd() answers has changed while the device runs; under the
 *                   control lock
 * @config_read:     fill @data from @offset; both within config_size. Little-endian
 * @config_write:    take @data at @offset; both within config_size. NULL: configuration is
 *                   read-only
 * @save, @restore:  reserved for snapshots: between start and stop, with nothing in flight
 * @destroy:         release everything, free the device itself; it has been stopped, dev->loop's
 *                   thread is gone. It calls virtio_device__exit()
 */
struct virtio_ops {
	const char *kind;
	uint16_t id;
	uint32_t pci_class;
	uint32_t config_size;
	int (*realize)(struct virtio_device *dev);
	bool (*accept_features)(struct virtio_device *dev, uint64_t features);
	int (*start)(struct virtio_device *dev);
	void (*stop)(struct virtio_device *dev);
	int (*queue_enable)(struct virtio_device *dev, struct virtqueue *q);
	void (*queue_reset)(struct virtio_device *dev, struct virtqueue *q);
	void (*reset)(struct virtio_device *dev);
	void (*notify)(struct virtio_device *dev, struct virtqueue *q);
	void (*call_changed)(struct virtio_device *dev, struct virtqueue *q);
	void (*config_read)(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len);
	void (*config_write)(struct virtio_device *dev, uint32_t offset, const void *data,
			     uint32_t len);
	int (*save)(struct virtio_device *dev, struct state_writer *out);
	int (*restore)(struct virtio_device *dev, struct state_reader *in);
	void (*destroy)(struct virtio_device *dev);
};

/**
 * struct virtio_device - embedded first in each device
 *
 * Filled in by virtio_device__init(); the device may change until it goes to its transport:
 * @offered:     feature bits offered; VIRTIO_COMMON_FEATURES to begin with
 * @config_size: as in ops
 * @chain_priv:  bytes of its own that the device wants in each chain (virtio_chain__priv()); 0 to
 *               begin with
 * @own_thread:  run dev->loop in a thread of the device's own; otherwise it is host->loop, which is
 *               the main thread's
 *
 * The device may read:
 * @ops, @host:  its kind; the machine around it
 * @name:        unique in the machine ("blk0")
 * @nr_queues:   how many
 * @loop:        where notify runs and where it may event__add(); from realize to destroy
 * @features:    what was negotiated; valid from start to stop
 *
 * The rest is the core's.
 */
struct virtio_device {
	const struct virtio_ops *ops;
	const struct device_host *host;
	char name[24];
	unsigned int nr_queues;
	uint64_t offered;
	uint32_t config_size;
	size_t chain_priv;
	bool own_thread;
	struct event_loop *loop;
	uint64_t features;

	struct virtqueue *queue;
	struct virtio_transport *transport;
	pthread_t thread;
	bool thread_runs;
	pthread_mutex_t lock;	     /* control */
	pthread_mutex_t config_lock; /* configuration */
	uint64_t driver_features;    /* as the driver writes them; under the control lock */
	bool legacy;  /* the driver came by a legacy interface; under the control lock */
	bool started; /* between start and stop; under the control lock */
	atomic_uint status;
	atomic_bool broken;
	atomic_uint generation;
	pthread_mutex_t fail_lock; /* the two below */
	int64_t last_line;	   /* when a failure was printed, CLOCK_MONOTONIC seconds */
	unsigned int unprinted;
};

/**
 * virtio_device__init - a device with @nr_queues queues of VIRTIO_QUEUE_SIZE
 * @dev:  zeroed
 * @name: at most 23 characters
 *
 * Return: 0 or -ENOMEM (then there is nothing to undo).
 */
int virtio_device__init(struct virtio_device *dev, const struct virtio_ops *ops,
			const struct device_host *host, const char *name, unsigned int nr_queues);

/**
 * virtio_device__exit - release what virtio_device__init() has; for ops->destroy
 */
void virtio_device__exit(struct virtio_device *dev);

/**
 * virtio_device__set_queue_size - the most entries that a queue can be given
 * @size: a power of two, at most VIRTIO_MAX_QUEUE_SIZE; 0: the queue is not available
 */
void virtio_device__set_queue_size(struct virtio_device *dev, unsigned int index,
				   unsigned int size);

/**
 * virtio_device__queue - the queue of a number; any thread
 * @index: less than nr_queues
 */
struct virtqueue *virtio_device__queue(struct virtio_device *dev, unsigned int index);

/**
 * virtio_device__has - whether a feature was negotiated; valid from start to stop
 * @feature: its number
 */
static inline bool virtio_device__has(const struct virtio_device *dev, unsigned int feature)
{
	return dev->features & VIRTIO_BIT(feature);
}

/**
 * virtio_device__is_legacy - the driver is of before 1.0; valid from start to stop
 *
 * It lays out some requests otherwise (struct virtio_net_hdr without num_buffers, 5.1.6.1; memory
 * balloon configuration, 5.5.4; and so on).
 */
static inline bool virtio_device__is_legacy(const struct virtio_device *dev)
{
	return !virtio_device__has(dev, VIRTIO_F_VERSION_1);
}

/**
 * virtio_device__config_begin, virtio_device__config_end - change configuration from outside
 * config_write
 *
 * The end makes a new generation (2.5.1) and tells the driver of it (2.3). Any thread, with or
 * without a queue's lock; not in config_read and config_write themselves.
 */
void virtio_device__config_begin(struct virtio_device *dev);
void virtio_device__config_end(struct virtio_device *dev);

/**
 * virtio_device__fail - the guest has broken the device: it needs a reset (2.1.2)
 * @fmt: what it did, without the device's name and without a newline
 *
 * Any thread, any lock held. Queues stop; the rest of what happens until the driver's reset is up
 * to the driver.
 */
void virtio_device__fail(struct virtio_device *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* --- chains -------------------------------------------------------------------------------- */

/**
 * struct virtio_range - a part of a chain in guest-physical terms
 */
struct virtio_range {
	uint64_t gpa;
	uint64_t len;
};

/**
 * struct virtio_chain - one request: buffers for the device to read, then buffers for it to write
 * @q:       where it came from
 * @out:     to be read by the device: host memory, @nr_out pieces, @out_len bytes in all
 * @in:      to be written by the device: host memory, @nr_in pieces, @in_len bytes in all
 *
 * The pieces do not say how the driver has cut its buffers (2.7.4): adjacent ones are joined, one
 * that crosses two regions of RAM is two. Each lies in RAM, none is empty; the guest may change
 * what is in them at any time, so what is checked is copied first. @out and @in, the counts and
 * lengths may be changed by virtio_chain__skip_out() and its kin.
 *
 * The rest is the core's.
 */
struct virtio_chain {
	struct virtqueue *q;
	struct iovec *out, *in;
	unsigned int nr_out, nr_in;
	uint64_t out_len, in_len;

	struct virtio_chain *next_free, *next_all;
	struct iovec *iov;
	struct virtio_range *range; /* those to be written, as they were at first */
	unsigned int nr_range, capacity;
	uint16_t id;	   /* head of a split chain, buffer id of a packed one */
	uint16_t nr_slots; /* of the ring: 1 if split */
	bool in_flight;
};

/**
 * virtio_chain__priv - the chain_priv bytes of the device's own; contents survive from one use of
 * the struct to the next, zero at first; aligned for anything
 */
static inline void *virtio_chain__priv(struct virtio_chain *chain)
{
	return (void *)(((uintptr_t)(chain + 1) + 15) & ~(uintptr_t)15);
}

/**
 * virtio_chain__read - copy from what the device is to read
 * @offset: bytes from the start of @out
 *
 * Return: bytes copied, less than @len at the end of the chain.
 */
size_t virtio_chain__read(const struct virtio_chain *chain, uint64_t offset, void *to, size_t len);

/**
 * virtio_chain__write - copy to what the device is to write
 * @offset: bytes from the start of @in
 *
 * Return: bytes copied, less than @len at the end of the chain.
 */
size_t virtio_chain__write(struct virtio_chain *chain, uint64_t offset, const void *from,
			   size_t len);

/**
 * virtio_chain__skip_out, virtio_chain__skip_in - take @len bytes off the front
 *
 * After a header has been read, what is left can go to writev() as it is.
 *
 * Return: whether there were that many; nothing happens if not.
 */
bool virtio_chain__skip_out(struct virtio_chain *chain, uint64_t len);
bool virtio_chain__skip_in(struct virtio_chain *chain, uint64_t len);

/**
 * virtio_chain__trim_out, virtio_chain__trim_in - take @len bytes off the end
 *
 * Return: whether there were that many; nothing happens if not.
 */
bool virtio_chain__trim_out(struct virtio_chain *chain, uint64_t len);
bool virtio_chain__trim_in(struct virtio_chain *chain, uint64_t len);

/**
 * virtio_chain__cut_in - take the last @len bytes off and say where they are
 *
 * For a status byte at the end of a request (5.2.6). @len must be 1 if it is not to depend on how
 * buffers were cut.
 *
 * Return: a pointer good for @len bytes, or NULL if there are not that many in one piece.
 */
void *virtio_chain__cut_in(struct virtio_chain *chain, size_t len);

/**
 * virtio_iov__slice - describe a part of an iovec array
 * @to: receives at most @nr pieces
 *
 * Return: the number of pieces; less than @len bytes if @from ends before.
 */
unsigned int virtio_iov__slice(const struct iovec *from, unsigned int nr, uint64_t offset,
			       uint64_t len, struct iovec *to);

/* --- queues -------------------------------------------------------------------------------- */

/**
 * virtqueue__index, virtqueue__size, virtqueue__device - its number; its entries while it runs;
 * whose it is; any thread
 */
unsigned int virtqueue__index(const struct virtqueue *q);
unsigned int virtqueue__size(const struct virtqueue *q);
struct virtio_device *virtqueue__device(const struct virtqueue *q);

/**
 * virtqueue__lock - begin to work with a queue outside notify; any thread
 *
 * Return: true with the lock held; false, without it, if the queue does not run.
 */
bool virtqueue__lock(struct virtqueue *q);

/**
 * virtqueue__unlock - end it
 */
void virtqueue__unlock(struct virtqueue *q);

/**
 * virtqueue__pop - take the next chain that the driver has made available
 *
 * Return: the chain, the device's until virtqueue__push(), virtqueue__rewind() or stop; NULL if
 * there is none, or if the ring or the chain is broken (then virtio_device__fail() has been
 * called).
 */
struct virtio_chain *virtqueue__pop(struct virtqueue *q);

/**
 * virtqueue__has_next - whether there is something to pop
 */
bool virtqueue__has_next(struct virtqueue *q);

/**
 * virtqueue__rewind - put the chain popped last back, to be popped again; of several, the last one
 * first
 */
void virtqueue__rewind(struct virtqueue *q, struct virtio_chain *chain);

/**
 * virtqueue__push - give a chain back
 * @written: bytes written to the front of its @in (2.7.8): the driver believes them to be the
 *           device's
 *
 * In any order, unless VIRTIO_F_IN_ORDER was negotiated. The driver does not see it before
 * virtqueue__publish(). All of the chain's writable part is reported dirty, however much was
 * written.
 */
void virtqueue__push(struct virtqueue *q, struct virtio_chain *chain, uint32_t written);

/**
 * virtqueue__publish - show the driver what has been pushed, and interrupt it if it wants that
 *
 * Once per batch. Cheap if nothing was pushed.
 */
void virtqueue__publish(struct virtqueue *q);

/**
 * virtqueue__disable_notify - the driver need not notify for a while: the device looks by itself
 *
 * A hint: notifications may still come.
 */
void virtqueue__disable_notify(struct virtqueue *q);

/**
 * virtqueue__enable_notify - the driver has to notify from now on; the state in which a queue
 * starts
 *
 * Return: true if buffers have become available meanwhile, for which no notification will come: go
 * on popping.
 */
bool virtqueue__enable_notify(struct virtqueue *q);

/**
 * virtqueue__kick - have notify called as if the driver had notified; any thread, any lock
 *
 * For a device that bounds its work per call, or that has got what it waited for.
 */
void virtqueue__kick(struct virtqueue *q);

/* --- queues served by somebody else: vhost in the kernel, vhost-user ---------------------------
 */

/**
 * struct virtqueue_ring - where a running queue is
 * @size:                    entries
 * @desc, @driver, @device:  guest-physical: descriptors; available ring or driver event area; used
 *                           ring or device event area
 */
struct virtqueue_ring {
	unsigned int size;
	uint64_t desc, driver, device;
};

/**
 * virtqueue__set_external - the core shall not watch for notifications nor touch the ring
 *
 * Before the device goes to its transport.
 */
void virtqueue__set_external(struct virtqueue *q);

/**
 * virtqueue__is_enabled - whether the driver has set the queue up; in start, stop, queue_enable,
 * queue_reset
 */
bool virtqueue__is_enabled(const struct virtqueue *q);

/**
 * virtqueue__ring - where the queue is; in start and queue_enable, for a queue that is enabled
 */
struct virtqueue_ring virtqueue__ring(const struct virtqueue *q);

/**
 * virtqueue__kick_fd - the eventfd that the driver's notifications signal; constant from realize on
 */
int virtqueue__kick_fd(const struct virtqueue *q);

/**
 * virtqueue__call_fd - an eventfd that interrupts the driver on behalf of this queue
 *
 * In start, queue_enable and call_changed. An irqfd where the transport has one, otherwise one that
 * dev->loop watches.
 *
 * Return: the descriptor, which stays the core's; -1 if the driver wants no interrupts of this
 * queue.
 */
int virtqueue__call_fd(struct virtqueue *q);

/* --- transports, as boards create them -----------------------------------------------------------
 */

struct pci_host;

/**
 * struct virtio_pci_config - what the board decides about a virtio-pci function
 * @devfn:       PCI_DEVFN(slot, function), or PCI_ANY_DEVFN for the next free slot
 * @modern_only: no legacy interface: 0x1040 device IDs (4.1.2); devices that never had one have
 *               none anyway
 * @irqfd:       KVM has irqfds and MSI routes; without, messages are sent one ioctl each
 */
struct virtio_pci_config {
	int devfn;
	bool modern_only;
	bool irqfd;
};

/**
 * virtio_pci__create - a device as a PCI function (4.1)
 * @dev: owned from here on, even if this fails; NULL (its constructor failed) gives NULL
 *
 * Return: for device__add(), or NULL without memory.
 */
struct device *virtio_pci__create(struct pci_host *pci, struct virtio_device *dev,
				  const struct virtio_pci_config *cfg);

#define VIRTIO_MMIO_SIZE 0x1000

/**
 * struct virtio_mmio_config - what the board decides about a virtio-mmio device
 * @base:   guest-physical address of its VIRTIO_MMIO_SIZE bytes
 * @gsi:    its interrupt line: level-triggered, high
 * @legacy: version 1 of the registers (4.2.4), for drivers of before 1.0
 *
 * The board describes it to the guest: ACPI device with _HID "LNRO0005", device tree node
 * "virtio,mmio", or virtio_mmio.device=4K@BASE:GSI on the command line.
 */
struct virtio_mmio_config {
	uint64_t base;
	unsigned int gsi;
	bool legacy;
};

/**
 * virtio_mmio__create - a device as memory-mapped registers (4.2)
 * @dev: owned from here on, even if this fails; NULL (its constructor failed) gives NULL
 *
 * Return: for device__add(), or NULL without memory.
 */
struct device *virtio_mmio__create(const struct device_host *host, struct virtio_device *dev,
				   const struct virtio_mmio_config *cfg);

#endif
