// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From the options of lkvm run to virtio devices.
 */
#include "kvm/virtio-plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/config.h"
#include "kvm/disk.h"
#include "kvm/kvm.h"
#include "kvm/log.h"
#include "kvm/net.h"
#include "kvm/virtio-9p.h"
#include "kvm/virtio-balloon.h"
#include "kvm/virtio-blk.h"
#include "kvm/virtio-console.h"
#include "kvm/virtio-fs.h"
#include "kvm/virtio-net.h"
#include "kvm/virtio-rng.h"
#include "kvm/virtio-vsock.h"
#include "kvm/virtio.h"

/* The tag that kvmtool gives a root directory, and Linux takes it for a device's name. */
#define ROOT_TAG "/dev/root"

#define ROOT_IS_SHARE "root=" ROOT_TAG " rw rootfstype=9p rootflags=trans=virtio,version=9p2000.L"
#define ROOT_IS_DISK  "root=/dev/vda rw"

/**
 * struct virtio_plan - the options, taken apart
 * @root_is_share: a -d option was a directory: the first of @share
 */
struct virtio_plan {
	struct disk_spec *disk;
	struct net_config *net;
	struct p9_share *share;
	struct fs_share *fs;
	unsigned int nr_disks, nr_nets, nr_shares, nr_fs;
	bool root_is_share;
	struct virtio_vsock_params vsock;
	bool has_vsock;
};

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int add_root_share(struct virtio_plan *plan, const char *dir)
{
	struct p9_share *share = &plan->share[0];

	if (plan->root_is_share) {
		pr_fatal("--disk %s: there is a root directory already: %s", dir, share->dir);
		return -EINVAL;
	}
	if (strlen(dir) >= sizeof(share->dir)) {
		pr_fatal("--disk %s: the name is too long", dir);
		return -ENAMETOOLONG;
	}
	strcpy(share->dir, dir);
	strcpy(share->tag, ROOT_TAG);
	plan->root_is_share = true;
	plan->nr_shares++;
	return 0;
}

/* A directory becomes the root file system; it comes first, so that its place is free. */
static int plan_disks(struct virtio_plan *plan, const struct arg_list *list)
{
	int ret = 0;

	for (unsigned int i = 0; i < list->nr && !ret; i++) {
		if (is_directory(list->arg[i]))
			ret = add_root_share(plan, list->arg[i]);
		else
			ret = disk_spec__parse(&plan->disk[plan->nr_disks++], list->arg[i]);
	}
	return ret;
}

static int plan_nets(struct virtio_plan *plan, const struct arg_list *list)
{
	int ret = 0;

	for (unsigned int i = 0; i < list->nr && !ret; i++)
		ret = net__parse(list->arg[i], &plan->net[plan->nr_nets++]);
	return ret;
}

static int plan_shares(struct virtio_plan *plan, const struct vm_config *cfg)
{
	int ret = 0;

	for (unsigned int i = 0; i < cfg->p9.nr && !ret; i++)
		ret = p9__parse(cfg->p9.arg[i], &plan->share[plan->nr_shares++]);
	for (unsigned int i = 0; i < cfg->fs.nr && !ret; i++)
		ret = fs__parse(cfg->fs.arg[i], &plan->fs[plan->nr_fs++]);
	if (!ret && cfg->fs.nr && !cfg->mem_shared && !cfg->mem_path) {
		pr_fatal("--fs %s: the daemon has to see guest RAM: add --mem-shared",
			 cfg->fs.arg[0]);
		ret = -EINVAL;
	}
	return ret;
}

/* CID[,PATH] */
static int plan_vsock(struct virtio_plan *plan, const char *arg)
{
	char *end;

	if (!arg)
		return 0;
	errno = 0;
	plan->vsock.guest_cid = strtoull(arg, &end, 10);
	if (errno || end == arg || (*end && *end != ',') || (*end && !end[1]) || *arg == '-') {
		pr_fatal("--vsock %s: it is CID[,PATH], with a context ID from %u to %u", arg,
			 VIRTIO_VSOCK_MIN_CID, VIRTIO_VSOCK_MAX_CID);
		return -EINVAL;
	}
	plan->vsock.path = *end ? end + 1 : NULL;
	plan->has_vsock = true;
	return 0;
}

int virtio_plan__create(const struct vm_config *cfg, struct virtio_plan **out)
{
	struct virtio_plan *plan = calloc(1, sizeof(*plan));
	int ret;

	*out = plan;
	if (!plan) {
		pr_fatal("no memory for the virtio devices");
		return -ENOMEM;
	}
	plan->disk = calloc(cfg->disk.nr + 1, sizeof(*plan->disk));
	plan->net = calloc(cfg->network.nr + 1, sizeof(*plan->net));
	plan->share = calloc(cfg->p9.nr + 2, sizeof(*plan->share));
	plan->fs = calloc(cfg->fs.nr + 1, sizeof(*plan->fs));
	if (!plan->disk || !plan->net || !plan->share || !plan->fs) {
		pr_fatal("no memory for the virtio devices");
		return -ENOMEM;
	}
	ret = plan_disks(plan, &cfg->disk);
	if (!ret)
		ret = plan_nets(plan, &cfg->network);
	if (!ret)
		ret = plan_shares(plan, cfg);
	return ret ? ret : plan_vsock(plan, cfg->vsock);
}

void virtio_plan__free(struct virtio_plan *plan)
{
	if (!plan)
		return;
	for (unsigned int i = 0; i < plan->nr_disks; i++)
		disk_spec__free(&plan->disk[i]);
	for (unsigned int i = 0; i < plan->nr_nets; i++)
		net_config__free(&plan->net[i]);
	free(plan->disk);
	free(plan->net);
	free(plan->share);
	free(plan->fs);
	free(plan);
}

const char *virtio_plan__root_params(const struct virtio_plan *plan)
{
	if (plan->root_is_share)
		return ROOT_IS_SHARE;
	return plan->nr_disks ? ROOT_IS_DISK : "";
}

static int add_console(struct kvm *kvm, virtio_plug_fn plug)
{
	const struct virtio_console_port port = { .chr = kvm->console, .console = true };
	struct virtio_console_options options = { .ports = &port, .nr_ports = 1 };
	struct winsize size;

	if (kvm->cfg->console != CONSOLE_VIRTIO)
		return 0;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size)) {
		options.cols = size.ws_col;
		options.rows = size.ws_row;
	}
	return plug(kvm, virtio_console__create(&kvm->host, &options));
}

static int add_disks(const struct virtio_plan *plan, struct kvm *kvm, virtio_plug_fn plug)
{
	int ret = 0;

	for (unsigned int i = 0; i < plan->nr_disks && !ret; i++) {
		const struct virtio_blk_setup setup = { .index = i, .spec = &plan->disk[i] };

		ret = plug(kvm, virtio_blk__create(&kvm->host, &setup));
	}
	return ret;
}

static int add_nets(const struct virtio_plan *plan, struct kvm *kvm, virtio_plug_fn plug)
{
	int ret = 0;

	for (unsigned int i = 0; i < plan->nr_nets && !ret; i++) {
		struct virtio_device *dev;

		if (plan->net[i].mode == NET_MODE_NONE)
			continue;
		ret = virtio_net__open(&kvm->host, &plan->net[i], kvm->cfg->name, i, &dev);
		if (!ret)
			ret = plug(kvm, dev);
	}
	return ret;
}

static int add_shares(const struct virtio_plan *plan, struct kvm *kvm, virtio_plug_fn plug)
{
	int ret = 0;

	for (unsigned int i = 0; i < plan->nr_shares && !ret; i++)
		ret = plug(kvm, virtio_9p__create(&kvm->host, &plan->share[i], i));
	for (unsigned int i = 0; i < plan->nr_fs && !ret; i++) {
		struct virtio_device *dev = virtio_fs__create(&kvm->host, &plan->fs[i], i);

		ret = dev ? plug(kvm, dev) : -EIO;
	}
	return ret;
}

static int add_vsock(const struct virtio_plan *plan, struct kvm *kvm, virtio_plug_fn plug)
{
	struct virtio_device *dev;
	int ret;

	if (!plan->has_vsock)
		return 0;
	ret = virtio_vsock__create(&kvm->host, 0, &plan->vsock, &dev);
	return ret ? ret : plug(kvm, dev);
}

int virtio_plan__add(const struct virtio_plan *plan, struct kvm *kvm, virtio_plug_fn plug)
{
	int ret = add_console(kvm, plug);

	if (!ret)
		ret = add_disks(plan, kvm, plug);
	if (!ret)
		ret = add_nets(plan, kvm, plug);
	if (!ret)
		ret = add_shares(plan, kvm, plug);
	if (!ret)
		ret = add_vsock(plan, kvm, plug);
	if (!ret && kvm->cfg->rng)
		ret = plug(kvm, virtio_rng__create(&kvm->host, 0));
	if (!ret && kvm->cfg->balloon)
		ret = plug(kvm, virtio_balloon__create(&kvm->host, 0, true));
	return ret;
}
