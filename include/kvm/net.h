/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks: where a guest's Ethernet frames go, and what -n/--network asked for.
 *
 * virtio-net opens a back end (a tap interface, a user-mode stack, or none), attaches itself to it
 * on its event loop, and then sends and receives one frame per call, straight from and to guest
 * memory. Each frame begins with the struct virtio_net_hdr that the guest sees (virtio 1.2, 5.1.6):
 * a back end that understands it hands it on, any other ignores what is sent and fills in zeroes.
 *
 * Between net_backend__attach() and net_backend__detach() every function here is called in the
 * loop's thread, and so are the callbacks; otherwise while no other function runs.
 */
#ifndef KVM_NET_H
#define KVM_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct event_loop;

#define NET_MAC_LEN	  6
#define NET_NAME_MAX	  15 /* characters of an interface's name */
#define NET_MAX_PAIRS	  16
#define NET_MAX_FORWARDS  64
#define NET_ETHERNET	  18	       /* bytes before the payload, with a VLAN tag */
#define NET_MIN_FRAME	  14	       /* a bare Ethernet header */
#define NET_MAX_FRAME	  (65535 + 18) /* a segment of the largest size (5.1.6.3.1) */
#define NET_MAX_HEADER	  12
#define NET_LEGACY_HEADER 10

/* --- what was asked for ---------------------------------------------------------------------- */

/**
 * enum net_mode - kinds of networks
 * @NET_MODE_USER: a network of the guest's own behind this process's sockets
 * @NET_MODE_TAP:  an interface of the host
 * @NET_MODE_NONE: no network device at all
 */
enum net_mode { NET_MODE_USER, NET_MODE_TAP, NET_MODE_NONE };

/**
 * enum net_stack - who does the work of NET_MODE_USER
 * @NET_STACK_AUTO: passt if it is installed, else libslirp if it is built in
 */
enum net_stack { NET_STACK_AUTO, NET_STACK_PASST, NET_STACK_SLIRP };

/**
 * struct net_forward - a port of the host that leads to the guest
 */
struct net_forward {
	bool udp;
	uint16_t host_port, guest_port;
};

/**
 * struct net_config - what an -n option asked for
 * @mode, @stack: see there
 * @has_mac:     @guest_mac was given
 * @has_host_mac: @host_mac was given
 * @guest_ip, @host_ip: INADDR_ANY if not given
 * @script, @downscript: programs that set an interface up and take it down, or NULL
 * @tapif:       name of an interface, or NULL for a new one
 * @fd, @nr_fds: tap descriptors that were inherited
 * @vhost:       let the kernel move frames (vhost-net)
 * @pairs:       pairs of queues, at least 1
 * @forward, @nr_forwards: ports
 * @text:        what the strings point into; owned
 */
struct net_config {
	enum net_mode mode;
	enum net_stack stack;
	bool has_mac, has_host_mac;
	uint8_t guest_mac[NET_MAC_LEN];
	uint8_t host_mac[NET_MAC_LEN];
	struct in_addr guest_ip, host_ip;
	const char *script, *downscript;
	const char *tapif;
	int fd[NET_MAX_PAIRS];
	unsigned int nr_fds;
	bool vhost;
	unsigned int pairs;
	struct net_forward forward[NET_MAX_FORWARDS];
	unsigned int nr_forwards;
	char *text;
};

/**
 * net__parse - [mode=]user|tap|none[,KEY=VALUE]…
 * @text: guest_ip=, host_ip=, guest_mac=, host_mac=, script=, downscript=, tapif=, fd=N[:N…],
 * vhost=0|1, mq=N, stack=passt|slirp, forward=tcp|udp:HOSTPORT:GUESTPORT (any number of them).
 * Without a mode it is tap if tapif=, fd=, script= or vhost= is there, otherwise user. A comma in a
 * value is written twice.
 * @cfg:  receives it, whatever was in it before; net_config__free() it whatever comes back
 *
 * Nothing is opened or looked at.
 *
 * Return: 0; -EINVAL or -ENOMEM, printed.
 */
int net__parse(const char *text, struct net_config *cfg);

/**
 * net_config__init - user mode, one pair of queues
 */
void net_config__init(struct net_config *cfg);

/**
 * net_config__free - release what parsing allocated
 */
void net_config__free(struct net_config *cfg);

/**
 * net__default_mac - an address for an interface whose user gave none
 * @guest: name of the guest
 * @index: of the interface in the guest
 * @mac:   receives it: locally administered, unicast, the same each time for the same guest
 */
void net__default_mac(const char *guest, unsigned int index, uint8_t mac[NET_MAC_LEN]);

/**
 * net__has_user_mode - whether NET_MODE_USER can work here: passt is in PATH, or libslirp built in
 */
bool net__has_user_mode(void);

/* --- back ends --------------------------------------------------------------------------------- */

struct net_backend;

/**
 * struct net_frontend - the device that a back end serves
 * @readable: frames wait on a pair of queues; called again and again while it is watched
 * @writable: the back end that was busy takes frames again; likewise
 * @link:     the link has gone down or come up; may be called from net_backend__receive() and
 * net_backend__send()
 */
struct net_frontend {
	void (*readable)(void *ctx, unsigned int pair);
	void (*writable)(void *ctx, unsigned int pair);
	void (*link)(void *ctx, bool up);
	void *ctx;
};

/* What the guest lets the back end leave to it in frames that it receives. */
#define NET_OFFLOAD_CSUM (1u << 0)
#define NET_OFFLOAD_TSO4 (1u << 1)
#define NET_OFFLOAD_TSO6 (1u << 2)
#define NET_OFFLOAD_ECN	 (1u << 3)

/**
 * struct net_info - what a back end is
 * @kind:     "tap", "macvtap", "passt", "slirp"
 * @pairs:    pairs of queues
 * @offloads: NET_OFFLOAD_… that it can make use of; if NET_OFFLOAD_CSUM is there, it also takes
 * frames without checksums and TCP segments that are to be cut
 * @mtu:      largest payload of a frame, 0 if not known
 * @has_mac:  it passes nothing but frames for @mac (macvtap)
 * @link_up:  as it is now
 * @vhost:    pairs can be handed to vhost-net
 */
struct net_info {
	const char *kind;
	unsigned int pairs;
	unsigned int offloads;
	uint16_t mtu;
	bool has_mac;
	uint8_t mac[NET_MAC_LEN];
	bool link_up;
	bool vhost;
};

/**
 * net_backend__open - make or open what @cfg asks for
 * @name: of the device, for messages
 * @out:  receives the back end
 *
 * Return: 0; negative errno, printed with the reason and the remedy.
 */
int net_backend__open(const struct net_config *cfg, const char *name, struct net_backend **out);

/**
 * net_backend__open_stream - a peer on a connected UNIX stream socket
 * @fd:   the socket, owned whatever comes back
 * @kind: what is on its other side
 *
 * Each frame, without a virtio header, follows its length in 4 bytes, most significant first: the
 * protocol of passt and of QEMU's "-netdev stream".
 *
 * Return: 0 or -ENOMEM, printed.
 */
int net_backend__open_stream(int fd, const char *kind, const char *name, struct net_backend **out);

/**
 * net_backend__info - what it is; stays valid, changes with its link
 */
const struct net_info *net_backend__info(const struct net_backend *be);

/**
 * net_backend__configure - how frames look from now on
 * @header:        bytes of the virtio header: NET_LEGACY_HEADER or NET_MAX_HEADER
 * @little_endian: the header's fields are; otherwise as this host's
 * @offloads:      NET_OFFLOAD_…, of those in its info
 *
 * Return: 0 or negative errno, printed.
 */
int net_backend__configure(struct net_backend *be, size_t header, bool little_endian,
			   unsigned int offloads);

/**
 * net_backend__set_pairs - use the first @pairs pairs of queues and no others
 *
 * Return: 0 or negative errno, printed.
 */
int net_backend__set_pairs(struct net_backend *be, unsigned int pairs);

/**
 * net_backend__attach - begin to serve a device
 *
 * Nothing is watched yet. If the peer has gone meanwhile, @frontend is told by the first call.
 *
 * Return: 0 or negative errno, printed.
 */
int net_backend__attach(struct net_backend *be, struct event_loop *loop,
			const struct net_frontend *frontend);

/**
 * net_backend__detach - stop it: when this returns, no callback runs or will run. Any thread.
 */
void net_backend__detach(struct net_backend *be);

/**
 * net_backend__watch - which callbacks are wanted for a pair; attached only
 */
void net_backend__watch(struct net_backend *be, unsigned int pair, bool readable, bool writable);

/**
 * net_backend__send - a frame from the guest
 * @iov: virtio header, then frame: at most NET_MAX_IOV pieces
 *
 * A frame that the back end finds wrong, or has no use for, is dropped without a word, as on any
 * Ethernet.
 *
 * Return: 0; -EAGAIN: it is busy, try again when it is writable.
 */
int net_backend__send(struct net_backend *be, unsigned int pair, const struct iovec *iov,
		      unsigned int nr);

/**
 * net_backend__receive - a frame for the guest
 * @iov: where virtio header and frame go: at most NET_MAX_IOV pieces, the first bytes of which
 * are written even if there is no frame in the end
 *
 * num_buffers is left alone.
 *
 * Return: bytes, header included; -EAGAIN: none is there; other negative errno: the link is down. A
 * frame that does not fit is cut: give NET_MAX_HEADER + NET_MAX_FRAME bytes.
 */
ssize_t net_backend__receive(struct net_backend *be, unsigned int pair, const struct iovec *iov,
			     unsigned int nr);

#define NET_MAX_IOV 1023 /* one below what the kernel takes */

/**
 * net_backend__tap_fd - the descriptor of a pair for vhost-net, -1 if info says that there is none
 */
int net_backend__tap_fd(const struct net_backend *be, unsigned int pair);

/**
 * net_backend__close - end it, take down what was set up; NULL is harmless
 */
void net_backend__close(struct net_backend *be);

#endif
