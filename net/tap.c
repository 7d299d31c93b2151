// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interfaces of the host: tap and macvtap (Documentation/networking/tuntap.rst).
 *
 * Theory of operation: with IFF_VNET_HDR each frame begins with the very header that virtio-net has
 * (virtio 1.2, 5.1.6), so readv() and writev() carry frames between guest memory and the kernel
 * without anybody here looking at them: the kernel checks the header, cuts segments, and fills in
 * checksums that guest and host have agreed to leave out. A tap that was made without such headers,
 * and then inherited, works too: without them, and without offloads.
 *
 * A pair of queues is one descriptor of the same interface (IFF_MULTI_QUEUE). Pairs that the guest
 * does not use are detached, so that the kernel puts nothing there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "kvm/log.h"
#include "kvm/sys.h"
#include "net/net.h"

#define TUN_NODE	"/dev/net/tun"
#define DEFAULT_HOST_IP 0xc0a82101u /* 192.168.33.1, as kvmtool's */
#define HOST_NETMASK	0xffffff00u

struct tap {
	struct net_backend be;
	char ifname[IFNAMSIZ];
	char *downscript;
	unsigned int attached; /* pairs that the kernel serves */
};

/* --- frames ------------------------------------------------------------------------------------ */

/* What a descriptor says when its interface has been deleted under it, or taken away. */
static bool is_gone(int err)
{
	return err == EBADFD || err == ENODEV || err == ENXIO || err == EBADF;
}

static int tap_send(struct net_backend *be, unsigned int pair, const struct iovec *iov,
		    unsigned int nr)
{
	if (writev(be->pair[pair].fd, iov, (int)nr) >= 0)
		return 0;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	if (is_gone(errno))
		net_backend__lose_link(be, "interface %s is gone (%s)", ((struct tap *)be)->ifname,
				       strerror(errno));
	/* Otherwise a frame that is wrong, or an interface that is not up: it is lost. */
	return 0;
}

static ssize_t tap_receive(struct net_backend *be, unsigned int pair, const struct iovec *iov,
			   unsigned int nr)
{
	ssize_t len = readv(be->pair[pair].fd, iov, (int)nr);
	int err = errno;

	if (len >= 0)
		return len;
	if (err == EAGAIN || err == EINTR)
		return -EAGAIN;
	net_backend__lose_link(be, "interface %s is gone (%s)", ((struct tap *)be)->ifname,
			       strerror(err));
	return -err;
}

static unsigned int kernel_offloads(unsigned int offloads)
{
	unsigned int flags = 0;

	if (offloads & NET_OFFLOAD_CSUM)
		flags |= TUN_F_CSUM;
	if (offloads & NET_OFFLOAD_TSO4)
		flags |= TUN_F_TSO4;
	if (offloads & NET_OFFLOAD_TSO6)
		flags |= TUN_F_TSO6;
	if (offloads & NET_OFFLOAD_ECN && flags & (TUN_F_TSO4 | TUN_F_TSO6))
		flags |= TUN_F_TSO_ECN;
	return flags;
}

static int set_byte_order(int fd, bool little_endian)
{
	int on = little_endian;
	int ret = sys__ioctl(fd, TUNSETVNETLE, &on);

	/* A kernel that does not know this has one order: its own. */
	return ret && little_endian && htole16(1) == 1 ? 0 : ret;
}

static int tap_configure(struct net_backend *be, size_t header, bool little_endian,
			 unsigned int offloads)
{
	int size = (int)header;
	int ret = 0;

	if (!be->vnet_hdr)
		return 0;
	for (unsigned int i = 0; i < be->info.pairs && !ret; i++) {
		int fd = be->pair[i].fd;

		ret = sys__ioctl(fd, TUNSETVNETHDRSZ, &size);
		if (!ret)
			ret = set_byte_order(fd, little_endian);
		if (!ret)
			ret = sys__ioctl_val(fd, TUNSETOFFLOAD, kernel_offloads(offloads));
	}
	if (ret)
		pr_warn("%s: interface %s: cannot set the frames' format: %s", be->name,
			((struct tap *)be)->ifname, strerror(-ret));
	return ret;
}

static int attach_queue(int fd, bool attach)
{
	struct ifreq ifr = { .ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return sys__ioctl(fd, TUNSETQUEUE, &ifr);
}

static int tap_set_pairs(struct net_backend *be, unsigned int pairs)
{
	struct tap *tap = (struct tap *)be;
	int ret = 0;

	if (be->info.pairs == 1)
		return 0;
	while (!ret && tap->attached < pairs) {
		ret = attach_queue(be->pair[tap->attached].fd, true);
		tap->attached += !ret;
	}
	while (!ret && tap->attached > pairs) {
		ret = attach_queue(be->pair[tap->attached - 1].fd, false);
		tap->attached -= !ret;
	}
	if (ret)
		pr_warn("%s: interface %s: cannot use %u queues: %s", be->name, tap->ifname, pairs,
			strerror(-ret));
	return ret;
}

/* --- the interface ----------------------------------------------------------------------------- */

static int interface_ioctl(unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	ret = sys__ioctl(fd, request, ifr);
	sys__close(fd);
	return ret;
}

static struct ifreq request_for(const struct tap *tap)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, tap->ifname, sizeof(ifr.ifr_name));
	return ifr;
}

static int set_address(const struct tap *tap, unsigned long request, uint32_t ip)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = ip };
	struct ifreq ifr = request_for(tap);

	memcpy(&ifr.ifr_addr, &address, sizeof(address));
	return interface_ioctl(request, &ifr);
}

static int set_host_ip(const struct tap *tap, struct in_addr ip)
{
	char text[INET_ADDRSTRLEN];
	int ret;

	ret = set_address(tap, SIOCSIFADDR, ip.s_addr);
	if (!ret)
		ret = set_address(tap, SIOCSIFNETMASK, htonl(HOST_NETMASK));
	if (ret)
		pr_fatal("%s: cannot give interface %s the address %s: %s", tap->be.name,
			 tap->ifname, inet_ntop(AF_INET, &ip, text, sizeof(text)), strerror(-ret));
	return ret;
}

static int bring_up(const struct tap *tap)
{
	struct ifreq ifr = request_for(tap);
	int ret = interface_ioctl(SIOCGIFFLAGS, &ifr);

	if (!ret && !(ifr.ifr_flags & IFF_UP)) {
		ifr.ifr_flags |= IFF_UP;
		ret = interface_ioctl(SIOCSIFFLAGS, &ifr);
	}
	if (ret)
		pr_fatal("%s: cannot bring interface %s up: %s; try: ip link set %s up",
			 tap->be.name, tap->ifname, strerror(-ret), tap->ifname);
	return ret;
}

static int set_host_mac(const struct tap *tap, const uint8_t mac[NET_MAC_LEN])
{
	struct ifreq ifr = request_for(tap);
	int ret;

	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, NET_MAC_LEN);
	ret = interface_ioctl(SIOCSIFHWADDR, &ifr);
	if (ret)
		pr_fatal("%s: cannot set the host's address of interface %s: %s", tap->be.name,
			 tap->ifname, strerror(-ret));
	return ret;
}

static int run_script(const struct tap *tap, const char *script)
{
	char *const argv[] = { (char *)script, (char *)tap->ifname, NULL };
	int ret = net__run(argv, -1, NULL, 0);

	if (ret > 0) {
		pr_fatal("%s: %s %s: exit status %d", tap->be.name, script, tap->ifname, ret);
		return -EIO;
	}
	if (ret)
		pr_fatal("%s: cannot run %s: %s", tap->be.name, script, strerror(-ret));
	return ret;
}

/* A script does all the set-up that there is; otherwise an interface made here gets an address. */
static int set_up(struct tap *tap, const struct net_config *cfg, bool is_new)
{
	struct in_addr ip = cfg->host_ip;
	int ret = 0;

	if (cfg->has_host_mac)
		ret = set_host_mac(tap, cfg->host_mac);
	if (ret)
		return ret;
	if (cfg->script)
		return run_script(tap, cfg->script);
	if (ip.s_addr == INADDR_ANY && is_new)
		ip.s_addr = htonl(DEFAULT_HOST_IP);
	if (ip.s_addr != INADDR_ANY)
		ret = set_host_ip(tap, ip);
	return ret ? ret : bring_up(tap);
}

static void read_mtu(struct tap *tap)
{
	struct ifreq ifr = request_for(tap);

	tap->be.info.mtu = 0;
	if (!interface_ioctl(SIOCGIFMTU, &ifr) && ifr.ifr_mtu > 0 && ifr.ifr_mtu <= UINT16_MAX)
		tap->be.info.mtu = (uint16_t)ifr.ifr_mtu;
}

/* --- opening ----------------------------------------------------------------------------------- */

static const char *remedy(int err)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
		return "the host's kernel needs CONFIG_TUN (modprobe tun)";
	case EPERM:
	case EACCES:
		return "run as root, or make the interface beforehand: ip tuntap add mode tap "
		       "user $USER name tap0, and use tapif=tap0; or use mode=user";
	case EBUSY:
		return "another program uses it";
	case EINVAL:
		return "it is not a tap interface, or differs in multi_queue (mq= is for one "
		       "that has it)";
	default:
		return "see Documentation/networks.md";
	}
}

static int complain(const struct tap *tap, const char *what, int ret)
{
	pr_fatal("%s: %s: %s: %s", tap->be.name, what, strerror(-ret), remedy(-ret));
	return ret;
}

static int open_queue(struct tap *tap, unsigned int index, unsigned int pairs)
{
	struct ifreq ifr = request_for(tap);
	int fd = sys__open(TUN_NODE, O_RDWR | O_NONBLOCK);
	int ret;

	if (fd < 0)
		return complain(tap, TUN_NODE, fd);
	tap->be.pair[index].fd = fd;
	ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	if (pairs > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	ret = sys__ioctl(fd, TUNSETIFF, &ifr);
	if (ret) {
		char what[64];

		snprintf(what, sizeof(what), "interface %s",
			 *tap->ifname ? tap->ifname : "(a new one)");
		return complain(tap, what, ret);
	}
	memcpy(tap->ifname, ifr.ifr_name, sizeof(tap->ifname));
	tap->ifname[IFNAMSIZ - 1] = '\0';
	return 0;
}

static int open_tap(struct tap *tap, const struct net_config *cfg)
{
	int ret = 0;

	for (unsigned int i = 0; i < cfg->pairs && !ret; i++)
		ret = open_queue(tap, i, cfg->pairs);
	tap->be.vnet_hdr = true;
	return ret;
}

/* A macvtap has a character device of its own: /dev/tap followed by its interface's number. */
static bool is_macvtap(const char *ifname, char node[32])
{
	char file[96];
	unsigned int index;
	FILE *in;
	bool yes;

	snprintf(file, sizeof(file), "/sys/class/net/%s/ifindex", ifname);
	in = fopen(file, "re");
	if (!in)
		return false;
	yes = fscanf(in, "%u", &index) == 1;
	fclose(in);
	if (!yes)
		return false;
	snprintf(file, sizeof(file), "/sys/class/net/%s/tap%u", ifname, index);
	snprintf(node, 32, "/dev/tap%u", index);
	return !access(file, F_OK);
}

static int open_macvtap(struct tap *tap, const struct net_config *cfg, const char *node)
{
	struct ifreq ifr = request_for(tap);

	tap->be.info.kind = "macvtap";
	tap->be.vnet_hdr = true;
	for (unsigned int i = 0; i < cfg->pairs; i++) {
		int fd = sys__open(node, O_RDWR | O_NONBLOCK);
		int ret;

		if (fd < 0) {
			pr_fatal("%s: %s of interface %s: %s; make it readable and writable for "
				 "this user",
				 tap->be.name, node, tap->ifname, strerror(-fd));
			return fd;
		}
		tap->be.pair[i].fd = fd;
		ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
		if (cfg->pairs > 1)
			ifr.ifr_flags |= IFF_MULTI_QUEUE;
		ret = sys__ioctl(fd, TUNSETIFF, &ifr);
		if (ret)
			return complain(tap, node, ret);
	}
	ifr = request_for(tap);
	if (!interface_ioctl(SIOCGIFHWADDR, &ifr)) {
		tap->be.info.has_mac = true;
		memcpy(tap->be.info.mac, ifr.ifr_hwaddr.sa_data, NET_MAC_LEN);
	}
	return 0;
}

static int adopt_fd(struct tap *tap, unsigned int index, int fd)
{
	struct ifreq ifr = { 0 };
	int flags = fcntl(fd, F_GETFL);
	int ret = flags < 0 ? -errno : sys__ioctl(fd, TUNGETIFF, &ifr);

	if (ret || !(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI)) {
		pr_fatal("%s: fd=%d: %s", tap->be.name, fd,
			 ret == -EBADF ? "no such descriptor: was it inherited?"
			 : ret	       ? "not a tap descriptor"
				       : "not a tap descriptor with IFF_TAP and IFF_NO_PI");
		return ret ? ret : -EINVAL;
	}
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	tap->be.pair[index].fd = fd;
	tap->be.vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
	memcpy(tap->ifname, ifr.ifr_name, sizeof(tap->ifname));
	tap->ifname[IFNAMSIZ - 1] = '\0';
	return 0;
}

static int adopt_fds(struct tap *tap, const struct net_config *cfg)
{
	int ret = 0;

	for (unsigned int i = 0; i < cfg->nr_fds && !ret; i++)
		ret = adopt_fd(tap, i, cfg->fd[i]);
	return ret;
}

static int open_interface(struct tap *tap, const struct net_config *cfg)
{
	char file[64], node[32];
	bool is_new = true;
	int ret;

	if (cfg->nr_fds) {
		ret = adopt_fds(tap, cfg);
		/* Whoever made it has set it up. */
		return ret || !cfg->script ? ret : run_script(tap, cfg->script);
	}
	if (cfg->tapif) {
		snprintf(tap->ifname, sizeof(tap->ifname), "%s", cfg->tapif);
		snprintf(file, sizeof(file), "/sys/class/net/%s", cfg->tapif);
		is_new = access(file, F_OK);
	}
	if (cfg->tapif && is_macvtap(cfg->tapif, node))
		ret = open_macvtap(tap, cfg, node);
	else
		ret = open_tap(tap, cfg);
	return ret ? ret : set_up(tap, cfg, is_new);
}

static void tap_close(struct net_backend *be)
{
	struct tap *tap = (struct tap *)be;

	if (tap->downscript)
		run_script(tap, tap->downscript);
	for (unsigned int i = 0; i < NET_MAX_PAIRS; i++)
		sys__close(be->pair[i].fd);
	net_backend__exit(be);
	free(tap->downscript);
	free(tap);
}

static const struct net_backend_ops tap_ops = {
	.configure = tap_configure,
	.set_pairs = tap_set_pairs,
	.send = tap_send,
	.receive = tap_receive,
	.close = tap_close,
};

int net_tap__open(const struct net_config *cfg, const char *name, struct net_backend **out)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int ret;

	if (!tap) {
		pr_fatal("%s: no memory for a tap interface", name);
		return -ENOMEM;
	}
	net_backend__init(&tap->be, &tap_ops, "tap", name);
	tap->be.info.pairs = tap->be.active = tap->attached = cfg->pairs;
	ret = open_interface(tap, cfg);
	if (!ret && cfg->downscript) {
		tap->downscript = strdup(cfg->downscript);
		ret = tap->downscript ? 0 : -ENOMEM;
	}
	if (ret) {
		tap_close(&tap->be);
		return ret;
	}
	read_mtu(tap);
	if (tap->be.vnet_hdr) {
		tap->be.info.offloads =
			NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN;
		tap->be.info.vhost = true;
	}
	*out = &tap->be;
	return 0;
}
