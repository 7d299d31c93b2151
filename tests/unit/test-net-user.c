// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * User-mode networks: a guest reaches a server on the host's loopback by the address of its gateway,
 * the host reaches the guest by a forwarded port, and a stack that cannot start says why.
 */
#include "net-guest.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net-capture.h"
#include "net-space.h"

#define GUEST_IP   0xc0a8210fu /* 192.168.33.15 */
#define HOST_IP	   0xc0a82101u
#define LOOPBACK   0x7f000001u
#define GUEST_PORT 4000
#define ADDRESSES  "guest_ip=192.168.33.15,host_ip=192.168.33.1"
#define SYN	   0x02
#define PSH	   0x08
#define ACK	   0x10

struct rig {
	struct guest g;
	struct net_config cfg;
	uint8_t host_mac[NET_MAC_LEN];
	uint8_t frame[GUEST_FRAME];
	int fd[3];
};

static const char *why_not;

/*
 * passt takes its guest's network from an interface with a default route: a tap that nobody reads
 * is enough.
 */
static int make_host(void **state)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "up0" };
	int err = enter_namespace();

	*state = NULL;
	if (err) {
		why_not = "no network namespace";
		return 0;
	}
	err = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (err < 0 || ioctl(err, TUNSETIFF, &ifr))
		why_not = "no tap interface to stand for the host's network";
	else if (system("ip link set lo up && ip link set up0 up && "
			"ip addr add 10.9.9.2/24 dev up0 && "
			"ip route add default via 10.9.9.1") != 0)
		why_not = "no iproute2 that could set the host's network up";
	return 0;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(struct rig));

	if (rig)
		rig->fd[0] = rig->fd[1] = rig->fd[2] = -1;
	*state = rig;
	return rig ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->g.d.board.host.loop)
		guest__end(&rig->g);
	for (unsigned int i = 0; i < ARRAY_SIZE(rig->fd); i++) {
		if (rig->fd[i] >= 0)
			close(rig->fd[i]);
	}
	net_config__free(&rig->cfg);
	free(rig);
	return 0;
}

static void skip_because(const char *why)
{
	print_message("SKIP: %s\n", why);
	skip();
}

static void start(struct rig *rig, const char *network)
{
	struct net_backend *be;

	assert_int_equal(net__parse(network, &rig->cfg), 0);
	assert_int_equal(net_backend__open(&rig->cfg, "net0", &be), 0);
	guest__plug(&rig->g, be);
	guest__start(&rig->g, BIT(VIRTIO_NET_F_MRG_RXBUF), 32, 1536);
}

/* The next TCP segment that has one of @flags; questions of ARP are answered meanwhile. */
static size_t await_tcp(struct rig *rig, uint8_t flags)
{
	uint8_t answer[60];

	for (unsigned int i = 0; i < 500; i++) {
		size_t len = guest__await(&rig->g, rig->frame, sizeof(rig->frame));
		const uint8_t *f = rig->frame;

		if (!len)
			return 0;
		if (get16(f + 12) == 0x0806 && get16(f + 20) == 1 && get32(f + 38) == GUEST_IP)
			guest__send(&rig->g, answer,
				    make_arp(answer, f + 22, 2, GUEST_IP, get32(f + 28)));
		if (get16(f + 12) == 0x0800 && f[23] == IPPROTO_TCP && f[47] & flags)
			return 14u + get16(f + 16);
	}
	return 0;
}

static void meet(struct rig *rig)
{
	uint8_t frame[60];
	size_t len;

	guest__send(&rig->g, frame, make_arp(frame, NULL, 1, GUEST_IP, HOST_IP));
	do {
		len = guest__await(&rig->g, rig->frame, sizeof(rig->frame));
		assert_true(len > 0);
	} while (get16(rig->frame + 12) != 0x0806 || get16(rig->frame + 20) != 2);
	memcpy(rig->host_mac, rig->frame + 22, NET_MAC_LEN);
}

static uint32_t payload_at(const uint8_t *frame)
{
	return 34u + (frame[46] >> 4) * 4u;
}

static void send_tcp(struct rig *rig, uint32_t to, uint16_t from_port, uint16_t to_port,
		     uint32_t seq, uint32_t ack, uint8_t flags, const char *text)
{
	uint8_t frame[200];

	guest__send(&rig->g, frame,
		    make_tcp(frame, rig->host_mac, GUEST_IP, to, from_port, to_port, seq, ack,
			     flags, text, strlen(text)));
}

static int serve_loopback(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	*port = ntohs(at.sin_port);
	return fd;
}

/* What the guest sends arrives at a server on the loopback, and its answer at the guest. */
static void guest_calls_host(struct rig *rig)
{
	uint32_t seq = 7000, ack;
	char text[16] = "";
	uint16_t port;
	size_t len;

	rig->fd[0] = serve_loopback(&port);
	meet(rig);
	send_tcp(rig, HOST_IP, GUEST_PORT, port, seq++, 0, SYN, "");
	assert_true(await_tcp(rig, SYN) > 0);
	assert_int_equal(get32(rig->frame + 42), seq);
	ack = get32(rig->frame + 38) + 1;
	send_tcp(rig, HOST_IP, GUEST_PORT, port, seq, ack, ACK, "");
	send_tcp(rig, HOST_IP, GUEST_PORT, port, seq, ack, ACK | PSH, "hello host");
	driver__run(&rig->g.d);
	rig->fd[1] = accept(rig->fd[0], NULL, NULL);
	assert_true(rig->fd[1] >= 0);
	for (unsigned int i = 0; i < 100 && recv(rig->fd[1], text, sizeof(text), MSG_DONTWAIT) < 0;
	     i++) {
		driver__run(&rig->g.d);
		poll(NULL, 0, 10);
	}
	assert_string_equal(text, "hello host");
	assert_int_equal(send(rig->fd[1], "hello guest", 11, 0), 11);
	do {
		len = await_tcp(rig, ACK);
		assert_true(len > 0);
	} while (len <= payload_at(rig->frame));
	assert_int_equal(len - payload_at(rig->frame), 11);
	assert_memory_equal(rig->frame + payload_at(rig->frame), "hello guest", 11);
	assert_int_equal(inet_sum(rig->frame + 34, len - 34, pseudo_sum(rig->frame, len - 34)), 0);
}

/* A connection to the forwarded port of the host is one to the guest. */
static void host_calls_guest(struct rig *rig, uint16_t host_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(host_port),
				  .sin_addr.s_addr = htonl(LOOPBACK) };
	uint32_t ack, from;
	uint16_t port;
	char text[16] = "";

	meet(rig);
	rig->fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(rig->fd[0], (struct sockaddr *)&at, sizeof(at)), 0);
	assert_true(await_tcp(rig, SYN) > 0);
	assert_int_equal(get16(rig->frame + 36), GUEST_PORT);
	assert_int_equal(get32(rig->frame + 30), GUEST_IP);
	from = get32(rig->frame + 26);
	port = (uint16_t)get16(rig->frame + 34);
	ack = get32(rig->frame + 38) + 1;
	send_tcp(rig, from, GUEST_PORT, port, 9000, ack, SYN | ACK, "");
	send_tcp(rig, from, GUEST_PORT, port, 9001, ack, ACK | PSH, "inside");
	for (unsigned int i = 0; i < 200 && recv(rig->fd[0], text, sizeof(text), MSG_DONTWAIT) < 0;
	     i++) {
		driver__run(&rig->g.d);
		poll(NULL, 0, 10);
	}
	assert_string_equal(text, "inside");
}

/* --- passt ------------------------------------------------------------------------------------- */

static void need_passt(void)
{
	if (why_not)
		skip_because(why_not);
	if (system("command -v passt > /dev/null") != 0)
		skip_because("passt is not installed");
	/* Debian 12's: the test would leave it behind, and it would take a whole CPU. */
	if (!getenv("LKVM_TEST_PASST"))
		skip_because("passt goes on and on if its guest leaves in the middle of a "
			     "connection; LKVM_TEST_PASST=1 runs this test all the same");
}

static void by_passt_a_guest_calls_its_host(void **state)
{
	struct rig *rig = *state;

	need_passt();
	start(rig, "stack=passt," ADDRESSES);
	guest_calls_host(rig);
}

static void by_passt_a_host_calls_its_guest(void **state)
{
	struct rig *rig = *state;

	need_passt();
	start(rig, "stack=passt,forward=tcp:4001:4000," ADDRESSES);
	host_calls_guest(rig, 4001);
}

static void refuse(const char *network, const char *why)
{
	struct net_backend *be = NULL;
	struct net_config cfg;
	struct capture capture;
	char words[1024];
	int ret;

	assert_int_equal(net__parse(network, &cfg), 0);
	capture__begin(&capture);
	ret = net_backend__open(&cfg, "net0", &be);
	capture__end(&capture, words, sizeof(words));
	net_config__free(&cfg);
	assert_true(ret < 0);
	if (!strstr(words, why) || count_lines(words) != 1)
		fail_msg("'%s' says: %s", network, words);
}

/* A program called passt in a directory of the test's own, at the front of PATH. */
struct fake {
	char dir[64], file[80], old_path[4096];
};

static void fake_passt(struct fake *fake, const char *script)
{
	char path[4200];
	FILE *file;

	strcpy(fake->dir, "/tmp/lkvm-test-XXXXXX");
	assert_non_null(mkdtemp(fake->dir));
	snprintf(fake->file, sizeof(fake->file), "%s/passt", fake->dir);
	file = fopen(fake->file, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	chmod(fake->file, 0700);
	snprintf(fake->old_path, sizeof(fake->old_path), "%s", getenv("PATH"));
	snprintf(path, sizeof(path), "%s:%s", fake->dir, fake->old_path);
	setenv("PATH", path, 1);
}

static void fake_end(struct fake *fake)
{
	setenv("PATH", fake->old_path, 1);
	unlink(fake->file);
	rmdir(fake->dir);
}

static void a_passt_that_fails_is_quoted(void **state)
{
	struct fake fake;

	fake_passt(&fake, "echo first >&2; echo No routable interface >&2; exit 3");
	refuse("stack=passt", "net0: passt ended with status 3: No routable interface");
	fake_end(&fake);
	fake_passt(&fake, "kill -SEGV $$");
	refuse("stack=passt", "status 139: it did not say why");
	fake_end(&fake);
}

static void without_passt_the_remedy_is_named(void **state)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s", getenv("PATH"));
	setenv("PATH", "/nowhere", 1);
	refuse("stack=passt", "no passt in PATH: install it (Debian: passt)");
	setenv("PATH", path, 1);
}

static void what_was_asked_for_becomes_arguments_of_passt(void **state)
{
	struct rig *rig = *state;
	struct fake fake;
	char out[80], text[1024] = "";
	FILE *file;

	fake_passt(&fake, "echo \"$@\" > $(dirname $0)/out; sleep 1 >/dev/null 2>&1 &");
	start(rig, "stack=passt,guest_ip=10.1.1.2,host_ip=10.1.1.1,forward=tcp:2222:22,"
		   "forward=udp:53:5353");
	snprintf(out, sizeof(out), "%.60s/out", fake.dir);
	file = fopen(out, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	unlink(out);
	fake_end(&fake);
	assert_non_null(strstr(text, "--one-off --fd "));
	assert_non_null(strstr(text, " --address 10.1.1.2 --netmask 24 --gateway 10.1.1.1 "
				     "--tcp-ports 2222:22 --udp-ports 53:5353\n"));
}

static void a_passt_that_dies_takes_the_link_down(void **state)
{
	struct rig *rig = *state;
	struct capture capture;
	struct fake fake;
	char words[512];

	/* It goes into the background, as the real one, holds the socket for a moment, and ends. */
	fake_passt(&fake, "(sleep 0.2) 2>/dev/null >/dev/null &");
	start(rig, "stack=passt");
	fake_end(&fake);
	assert_int_equal(board__load(&rig->g.d.board, DRIVER_MMIO + 0x106, 2), 1);
	capture__begin(&capture);
	for (unsigned int i = 0; i < 300; i++) {
		driver__run(&rig->g.d);
		if (!board__load(&rig->g.d.board, DRIVER_MMIO + 0x106, 2))
			break;
		poll(NULL, 0, 10);
	}
	capture__end(&capture, words, sizeof(words));
	assert_string_equal(words, "Warning: net0: passt is gone; the guest's link is down\n");
}

/* --- libslirp ---------------------------------------------------------------------------------- */

static void need_slirp(void)
{
#ifndef HAVE_SLIRP
	skip_because("libslirp is not built in");
#endif
	if (why_not)
		skip_because(why_not);
}

static void by_libslirp_a_guest_calls_its_host(void **state)
{
	struct rig *rig = *state;

	need_slirp();
	start(rig, "stack=slirp," ADDRESSES);
	guest_calls_host(rig);
}

static void by_libslirp_a_host_calls_its_guest(void **state)
{
	struct rig *rig = *state;

	need_slirp();
	start(rig, "stack=slirp,forward=tcp:4002:4000," ADDRESSES);
	host_calls_guest(rig, 4002);
}

static void by_libslirp_a_port_that_is_taken_is_refused(void **state)
{
	uint16_t port;
	char network[64];
	int fd;

	need_slirp();
	fd = serve_loopback(&port);
	snprintf(network, sizeof(network), "stack=slirp,forward=tcp:%u:1", port);
	refuse(network, "cannot forward TCP port");
	close(fd);
	refuse("stack=slirp,guest_ip=10.0.0.1,host_ip=10.0.1.1", "differ only in their last");
}

#define rule(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rule(by_passt_a_guest_calls_its_host),
		rule(by_passt_a_host_calls_its_guest),
		rule(a_passt_that_fails_is_quoted),
		rule(without_passt_the_remedy_is_named),
		rule(what_was_asked_for_becomes_arguments_of_passt),
		rule(a_passt_that_dies_takes_the_link_down),
		rule(by_libslirp_a_guest_calls_its_host),
		rule(by_libslirp_a_host_calls_its_guest),
		rule(by_libslirp_a_port_that_is_taken_is_refused),
	};

	return cmocka_run_group_tests_name("net-user", tests, make_host, NULL);
}
