// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virtio 9P transport: each chain of its one queue is a message and room for the reply.
 *
 * Virtio 1.2 reserves device ID 9 for it and says no more; feature bit 0 and the configuration (the
 * length of the mount tag, then the tag) are those of Linux' include/uapi/linux/virtio_9p.h.
 *
 * Requests block on the host's files, so the device has a thread of its own, in which they are
 * carried out one by one. Nothing is in flight but in notify: there is nothing to wait for in stop.
 */
#include "kvm/virtio-9p.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_9p.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/config.h"
#include "kvm/field.h"
#include "kvm/log.h"
#include "kvm/virtio.h"
#include "virtio/p9-server.h"

#define QUEUE_SIZE 128 /* as many as Linux' client puts pages into one request */

struct virtio_9p {
	struct virtio_device dev;
	struct p9_share share;
	struct p9_server *server;
};

_Static_assert((int)P9_SHARE_AUTO == (int)P9_SECURITY_AUTO &&
		       (int)P9_SHARE_PASSTHROUGH == (int)P9_SECURITY_PASSTHROUGH &&
		       (int)P9_SHARE_MAPPED == (int)P9_SECURITY_MAPPED &&
		       (int)P9_SHARE_NONE == (int)P9_SECURITY_NONE,
	       "the option's values are the server's");

/* --- options ---------------------------------------------------------------------------------- */

static int parse_security(const char *value, enum p9_share_security *security)
{
	static const char *const name[] = {
		[P9_SHARE_PASSTHROUGH] = "passthrough",
		[P9_SHARE_MAPPED] = "mapped",
		[P9_SHARE_NONE] = "none",
	};

	for (int i = P9_SHARE_PASSTHROUGH; i <= P9_SHARE_NONE; i++) {
		if (!strcmp(value, name[i])) {
			*security = (enum p9_share_security)i;
			return 0;
		}
	}
	pr_fatal("--9p: security=%s is not passthrough, mapped or none", value);
	return -EINVAL;
}

static int parse_msize(const char *value, uint32_t *msize)
{
	uint64_t number;

	if (config__parse_number(value, P9_MAX_MSIZE, &number) || number < P9_MIN_MSIZE) {
		pr_fatal("--9p: msize=%s is not a number of bytes between %u and %u", value,
			 P9_MIN_MSIZE, P9_MAX_MSIZE);
		return -EINVAL;
	}
	*msize = (uint32_t)number;
	return 0;
}

static int parse_option(const char *option, struct p9_share *share)
{
	if (!strcmp(option, "ro")) {
		share->read_only = true;
		return 0;
	}
	if (!strncmp(option, "security=", 9))
		return parse_security(option + 9, &share->security);
	if (!strncmp(option, "msize=", 6))
		return parse_msize(option + 6, &share->msize);
	pr_fatal("--9p: %s is not ro, security=passthrough|mapped|none or msize=BYTES", option);
	return -EINVAL;
}

int p9__parse(const char *text, struct p9_share *share)
{
	const char *rest = text;
	char option[64];
	int ret;

	memset(share, 0, sizeof(*share));
	ret = field__take(&rest, share->dir, sizeof(share->dir));
	if (ret || !share->dir[0] || !rest) {
		pr_fatal("--9p %s: give a directory and a tag: DIR,TAG", text);
		return -EINVAL;
	}
	ret = field__take(&rest, share->tag, sizeof(share->tag));
	if (ret || !share->tag[0]) {
		pr_fatal("--9p %s: the tag has to have 1 to %d characters", text, P9_MAX_TAG);
		return -EINVAL;
	}
	while (rest) {
		if (field__take(&rest, option, sizeof(option))) {
			pr_fatal("--9p %s: an option is too long", text);
			return -EINVAL;
		}
		ret = parse_option(option, share);
		if (ret)
			return ret;
	}
	return 0;
}

/* --- the device ------------------------------------------------------------------------------- */

static int p9_realize(struct virtio_device *dev)
{
	struct virtio_9p *p9 = (struct virtio_9p *)dev;
	struct p9_config cfg = {
		.dir = p9->share.dir,
		.read_only = p9->share.read_only,
		.security = (enum p9_security)p9->share.security,
		.msize = p9->share.msize,
	};

	return p9_server__create(&cfg, &p9->server);
}

static void p9_stop(struct virtio_device *dev)
{
	struct virtio_9p *p9 = (struct virtio_9p *)dev;

	p9_server__reset(p9->server);
}

static void p9_notify(struct virtio_device *dev, struct virtqueue *q)
{
	struct virtio_9p *p9 = (struct virtio_9p *)dev;
	struct virtio_chain *chain;
	int ret;

	do {
		virtqueue__disable_notify(q);
		while ((chain = virtqueue__pop(q))) {
			ret = p9_server__handle(p9->server, chain->out, chain->nr_out, chain->in,
						chain->nr_in);
			if (ret < 0) {
				virtio_device__fail(dev,
						    "a 9p message of %llu bytes with room for "
						    "%llu cannot be answered",
						    (unsigned long long)chain->out_len,
						    (unsigned long long)chain->in_len);
				return;
			}
			virtqueue__push(q, chain, (uint32_t)ret);
			virtqueue__publish(q);
		}
	} while (virtqueue__enable_notify(q));
}

static void p9_config_read(struct virtio_device *dev, uint32_t offset, void *data, uint32_t len)
{
	const struct virtio_9p *p9 = (const struct virtio_9p *)dev;
	uint8_t config[2 + P9_MAX_TAG] = { 0 };
	uint16_t tag_len = htole16((uint16_t)strlen(p9->share.tag));

	memcpy(config, &tag_len, sizeof(tag_len));
	memcpy(config + sizeof(tag_len), p9->share.tag, strlen(p9->share.tag));
	memcpy(data, config + offset, len);
}

static void p9_destroy(struct virtio_device *dev)
{
	struct virtio_9p *p9 = (struct virtio_9p *)dev;

	p9_server__destroy(p9->server);
	virtio_device__exit(dev);
	free(p9);
}

static const struct virtio_ops p9_ops = {
	.kind = "virtio-9p",
	.id = VIRTIO_ID_9P,
	.pci_class = 0x018000, /* mass storage, other */
	.config_size = 2,
	.realize = p9_realize,
	.stop = p9_stop,
	.notify = p9_notify,
	.config_read = p9_config_read,
	.destroy = p9_destroy,
};

struct virtio_device *virtio_9p__create(const struct device_host *host,
					const struct p9_share *share, unsigned int index)
{
	struct virtio_9p *p9 = calloc(1, sizeof(*p9));
	char name[24];

	if (!p9)
		return NULL;
	p9->share = *share;
	snprintf(name, sizeof(name), "9p%u", index);
	if (virtio_device__init(&p9->dev, &p9_ops, host, name, 1)) {
		free(p9);
		return NULL;
	}
	virtio_device__set_queue_size(&p9->dev, 0, QUEUE_SIZE);
	p9->dev.own_thread = true;
	p9->dev.offered |= VIRTIO_BIT(VIRTIO_9P_MOUNT_TAG);
	p9->dev.config_size = (uint32_t)(2 + strlen(share->tag));
	return &p9->dev;
}
