// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The console device (Virtio 1.2, section 5.3).
 *
 * Theory of operation. Output goes from the driver's buffers to the chardev as it is, in the
 * device's own thread: a reader that is slow holds up nobody else. Input comes in the main loop's
 * thread, as much as there is room for in a small buffer, and goes on to the driver as soon as it
 * has provided its own; a full buffer stops the chardev until the driver has taken something.
 *
 * Control messages of the device (5.3.6.2) are not queued: each port has a set of those it has yet
 * to send, so a driver that provokes them without end and never takes them fills nothing.
 */
#include "kvm/virtio-console.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_console.h>

#include "kvm/chardev.h"
#include "kvm/virtio.h"

#define PCI_CLASS_OTHER_COMMUNICATION 0x078000

#define INPUT_SIZE     4096u
#define NAME_SIZE      64u
#define QUEUE_SIZE     128
#define CHAINS_AT_ONCE 64

#define CONTROL_IN  2
#define CONTROL_OUT 3

/* Control messages yet to be sent, in the order in which they go. */
enum pending {
	SEND_ADD,
	SEND_CONSOLE,
	SEND_RESIZE,
	SEND_NAME,
	SEND_OPEN,
	NR_SENDS,
};

struct port {
	struct virtio_console *console;
	struct chardev *chr;
	char name[NAME_SIZE];
	bool is_console;
	struct virtqueue *in, *out;
	atomic_uint pending;
	pthread_mutex_t lock; /* the input below */
	uint8_t input[INPUT_SIZE];
	unsigned int first, nr;
};

struct virtio_console {
	struct virtio_device dev;
	struct virtio_console_config config; /* under the configuration lock */
	atomic_uint size;		     /* columns, and rows << 16, for control messages */
	atomic_bool multiport;
	unsigned int nr_ports;
	struct port port[];
};

/* --- input ---------------------------------------------------------------------------------- */

static uint32_t take_input(struct port *port, struct virtio_chain *chain)
{
	uint32_t done = 0;

	pthread_mutex_lock(&port->lock);
	while (port->nr && done < chain->in_len) {
		unsigned int part = INPUT_SIZE - port->first;

		if (part > port->nr)
			part = port->nr;
		part = (unsigned int)virtio_chain__write(chain, done, &port->input[port->first],
							 part);
		port->first = (port->first + part) % INPUT_SIZE;
		port->nr -= part;
		done += part;
	}
	pthread_mutex_unlock(&port->lock);
	return done;
}

static bool has_input(struct port *port)
{
	bool has;

	pthread_mutex_lock(&port->lock);
	has = port->nr;
	pthread_mutex_unlock(&port->lock);
	return has;
}

/* With the queue's lock. */
static void pass_input_on(struct port *port, struct virtqueue *q)
{
	struct virtio_chain *chain;
	bool taken = false;

	do {
		while (has_input(port) && (chain = virtqueue__pop(q))) {
			virtqueue__push(q, chain, take_input(port, chain));
			taken = true;
		}
		/* Buffers are of interest only while there is something to put into them. */
		if (!has_input(port)) {
			virtqueue__disable_notify(q);
			break;
		}
	} while (virtqueue__enable_notify(q));
	virtqueue__publish(q);
	if (taken)
		chardev__resume(port->chr);
}

static size_t port_room(void *ctx)
{
	struct port *port = ctx;
	size_t room;

	pthread_mutex_lock(&port->lock);
	room = INPUT_SIZE - port->nr;
	pthread_mutex_unlock(&port->lock);
	return room;
}

static void port_receive(void *ctx, const uint8_t *data, size_t len)
{
	struct port *port = ctx;

	pthread_mutex_lock(&port->lock);
	for (size_t i = 0; i < len && port->nr < INPUT_SIZE; i++, port->nr++)
		port->input[(port->first + port->nr) % INPUT_SIZE] = data[i];
	pthread_mutex_unlock(&port->lock);

	if (virtqueue__lock(port->in)) {
		pass_input_on(port, port->in);
		virtqueue__unlock(port->in);
	}
}

/* --- output --------------------------------------------------------------------------------- */

static void put_output(struct port *port, struct virtqueue *q)
{
	struct virtio_chain *chain;
	unsigned int nr = 0;

	do {
		virtqueue__disable_notify(q);
		while (nr < CHAINS_AT_ONCE && (chain = virtqueue__pop(q))) {
			for (unsigned int i = 0; i < chain->nr_out; i++)
				chardev__write(port->chr, chain->out[i].iov_base,
					       chain->out[i].iov_len);
			virtqueue__push(q, chain, 0);
			nr++;
		}
	} while (virtqueue__enable_notify(q) && nr < CHAINS_AT_ONCE);
	virtqueue__publish(q);
	if (nr == CHAINS_AT_ONCE)
		virtqueue__kick(q);
}

/* --- control messages ----------------------------------------------------------------------- */

static uint32_t write_message(struct virtio_console *console, unsigned int id, enum pending what,
			      struct virtio_chain *chain)
{
	static const uint16_t events[NR_SENDS] = {
		[SEND_ADD] = VIRTIO_CONSOLE_PORT_ADD,
		[SEND_CONSOLE] = VIRTIO_CONSOLE_CONSOLE_PORT,
		[SEND_RESIZE] = VIRTIO_CONSOLE_RESIZE,
		[SEND_NAME] = VIRTIO_CONSOLE_PORT_NAME,
		[SEND_OPEN] = VIRTIO_CONSOLE_PORT_OPEN,
	};
	struct virtio_console_control header = {
		.id = htole32(id),
		.event = htole16(events[what]),
		.value = htole16(1),
	};
	unsigned int size = atomic_load(&console->size);
	uint16_t resize[2] = { htole16((uint16_t)size), htole16((uint16_t)(size >> 16)) };
	const char *name = console->port[id].name;
	size_t len = virtio_chain__write(chain, 0, &header, sizeof(header));

	if (what == SEND_RESIZE)
		len += virtio_chain__write(chain, len, resize, sizeof(resize));
	else if (what == SEND_NAME)
		len += virtio_chain__write(chain, len, name, strlen(name));
	return (uint32_t)len;
}

/* With the queue's lock. */
static void send_messages(struct virtio_console *console, struct virtqueue *q)
{
	struct virtio_chain *chain;

	for (unsigned int id = 0; id < console->nr_ports; id++) {
		for (enum pending what = 0; what < NR_SENDS; what++) {
			unsigned int bit = 1u << what;

			if (!(atomic_load(&console->port[id].pending) & bit))
				continue;
			chain = virtqueue__pop(q);
			if (!chain) {
				virtqueue__publish(q);
				return;
			}
			atomic_fetch_and(&console->port[id].pending, ~bit);
			virtqueue__push(q, chain, write_message(console, id, what, chain));
		}
	}
	virtqueue__publish(q);
}

/* They go when the control queue to the driver has its turn: another may be locked now. */
static void want_messages(struct virtio_console *console, unsigned int id, unsigned int messages)
{
	atomic_fetch_or(&console->port[id].pending, messages);
	virtqueue__kick(virtio_device__queue(&console->dev, CONTROL_IN));
}

static unsigned int introduction(const struct virtio_console *console, unsigned int id)
{
	const struct port *port = &console->port[id];
	unsigned int messages = 1u << SEND_OPEN;

	if (port->is_console)
		messages |= 1u << SEND_CONSOLE;
	if (port->is_console && !id && atomic_load(&console->size))
		messages |= 1u << SEND_RESIZE;
	if (port->name[0])
		messages |= 1u << SEND_NAME;
	return messages;
}

static void take_message(struct virtio_console *console, const struct virtio_console_control *msg)
{
	unsigned int id = le32toh(msg->id), event = le16toh(msg->event), i;
	bool good = le16toh(msg->value);

	if (event == VIRTIO_CONSOLE_DEVICE_READY && good) {
		for (i = 0; i < console->nr_ports; i++)
			want_messages(console, i, 1u << SEND_ADD);
	} else if (event == VIRTIO_CONSOLE_PORT_READY && good && id < console->nr_ports) {
		want_messages(console, id, introduction(console, id));
	}
}

static void take_messages(struct virtio_console *console, struct virtqueue *q)
{
	struct virtio_console_control msg;
	struct virtio_chain *chain;
	unsigned int nr = 0;

	while (nr < CHAINS_AT_ONCE && (chain = virtqueue__pop(q))) {
		if (virtio_chain__read(chain, 0, &msg, sizeof(msg)) == sizeof(msg))
			take_message(console, &msg);
		virtqueue__push(q, chain, 0);
		nr++;
	}
	virtqueue__publish(q);
	if (nr == CHAINS_AT_ONCE)
		virtqueue__kick(q);
}

/* --- the device ----------------------------------------------------------------------------- */

/* 5.3.2: a pair of queues for port 0, one for control, then one for each further port. */
static unsigned int in_queue(unsigned int port)
{
	return port ? 2 * port + 2 : 0;
}

static void console_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct virtio_console *console = (struct virtio_console *)dev;
	unsigned int index = virtqueue__index(q);
	struct port *port;

	if (index == CONTROL_IN) {
		send_messages(console, q);
		return;
	}
	if (index == CONTROL_OUT) {
		take_messages(console, q);
		return;
	}
	port = &console->port[index < CONTROL_IN ? 0 : index / 2 - 1];
	if (q == port->in)
		pass_input_on(port, q);
	else
		put_output(port, q);
}

static int console_start(struct virtio_device *dev)
{
	struct virtio_console *console = (struct virtio_console *)dev;

	atomic_store(&console->multiport, virtio_device__has(dev, VIRTIO_CONSOLE_F_MULTIPORT));
	return 0;
}

static void console_stop(struct virtio_device *dev)
{
	struct virtio_console *console = (struct virtio_console *)dev;

	atomic_store(&console->multiport, false);
	for (unsigned int i = 0; i < console->nr_ports; i++)
		atomic_store(&console->port[i].pending, 0);
}

static void console_config_read(struct virtio_device *dev, uint32_t offset, void *data,
				uint32_t len)
{
	const struct virtio_console *console = (struct virtio_console *)dev;

	memcpy(data, (const uint8_t *)&console->config + offset, len);
}

/* 5.3.4: a driver that has not come far enough for queues writes characters here, one at a time. */
static void console_config_write(struct virtio_device *dev, uint32_t offset, const void *data,
				 uint32_t len)
{
	struct virtio_console *console = (struct virtio_console *)dev;

	if (offset == offsetof(struct virtio_console_config, emerg_wr))
		chardev__write(console->port[0].chr, data, 1);
}

static int console_realize(struct virtio_device *dev)
{
	struct virtio_console *console = (struct virtio_console *)dev;

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		const struct chardev_frontend frontend = {
			.room = port_room,
			.receive = port_receive,
			.ctx = &console->port[i],
		};

		chardev__attach(console->port[i].chr, &frontend);
	}
	return 0;
}

static void console_destroy(struct virtio_device *dev)
{
	struct virtio_console *console = (struct virtio_console *)dev;

	for (unsigned int i = 0; i < console->nr_ports; i++) {
		chardev__attach(console->port[i].chr, NULL);
		pthread_mutex_destroy(&console->port[i].lock);
	}
	virtio_device__exit(dev);
	free(console);
}

static const struct virtio_ops console_ops = {
	.kind = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = PCI_CLASS_OTHER_COMMUNICATION,
	.config_size = sizeof(struct virtio_console_config),
	.realize = console_realize,
	.start = console_start,
	.stop = console_stop,
	.notify = console_notify,
	.config_read = console_config_read,
	.config_write = console_config_write,
	.destroy = console_destroy,
};

static void set_size(struct virtio_console *console, uint16_t cols, uint16_t rows)
{
	console->config.cols = htole16(cols);
	console->config.rows = htole16(rows);
	atomic_store(&console->size, (unsigned int)cols | (unsigned int)rows << 16);
}

void virtio_console__resize(struct virtio_device *dev, uint16_t cols, uint16_t rows)
{
	struct virtio_console *console = (struct virtio_console *)dev;

	virtio_device__config_begin(dev);
	set_size(console, cols, rows);
	virtio_device__config_end(dev);
	if (atomic_load(&console->multiport) && console->port[0].is_console)
		want_messages(console, 0, 1u << SEND_RESIZE);
}

static void init_port(struct virtio_console *console, unsigned int i,
		      const struct virtio_console_port *from)
{
	struct port *port = &console->port[i];

	port->console = console;
	port->chr = from->chr;
	port->is_console = from->console;
	if (from->name)
		snprintf(port->name, sizeof(port->name), "%s", from->name);
	port->in = virtio_device__queue(&console->dev, in_queue(i));
	port->out = virtio_device__queue(&console->dev, in_queue(i) + 1);
	pthread_mutex_init(&port->lock, NULL);
}

struct virtio_device *virtio_console__create(const struct device_host *host,
					     const struct virtio_console_options *options)
{
	unsigned int nr = options->nr_ports, nr_queues;
	struct virtio_console *console;
	bool multiport;
	char name[24];

	if (!nr || nr > VIRTIO_CONSOLE_MAX_PORTS)
		return NULL;
	console = calloc(1, sizeof(*console) + nr * sizeof(console->port[0]));
	if (!console)
		return NULL;
	multiport = nr > 1 || options->ports[0].name || !options->ports[0].console;
	nr_queues = multiport ? 2 * nr + 2 : 2;
	snprintf(name, sizeof(name), "console%u", options->index);
	if (virtio_device__init(&console->dev, &console_ops, host, name, nr_queues)) {
		free(console);
		return NULL;
	}
	for (unsigned int i = 0; i < nr_queues; i++)
		virtio_device__set_queue_size(&console->dev, i, QUEUE_SIZE);
	console->dev.own_thread = true;
	console->dev.offered |= VIRTIO_BIT(VIRTIO_CONSOLE_F_EMERG_WRITE);
	if (multiport)
		console->dev.offered |= VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT);
	if (options->cols && options->rows)
		console->dev.offered |= VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE);
	set_size(console, options->cols, options->rows);
	console->config.max_nr_ports = htole32(nr);
	console->nr_ports = nr;
	for (unsigned int i = 0; i < nr; i++)
		init_port(console, i, &options->ports[i]);
	return &console->dev;
}
