// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The network device before a tap interface, in a network namespace of the test's own: the host's
 * kernel answers ARP and pings, checksums and segmentation are left to whoever agreed to do them,
 * and an interface that is taken away is no more than a link that is down.
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

#define HOST_IP	 0xc0a82101u
#define GUEST_IP 0xc0a8210fu
#define MRG	 BIT(VIRTIO_NET_F_MRG_RXBUF)
#define CSUM	 BIT(VIRTIO_NET_F_CSUM)
#define GCSUM	 BIT(VIRTIO_NET_F_GUEST_CSUM)
#define GTSO4	 BIT(VIRTIO_NET_F_GUEST_TSO4)

struct rig {
	struct guest g;
	struct net_config cfg;
	const struct net_info *info;
	uint8_t host_mac[NET_MAC_LEN];
	uint8_t frame[GUEST_FRAME];
	struct virtio_net_hdr_mrg_rxbuf header;
};

static const char *why_not; /* there can be no test here */

static int look_around(void **state)
{
	static char why[128];
	int err = enter_namespace(), fd;

	if (err) {
		snprintf(why, sizeof(why), "no network namespace: %s", strerror(err));
		why_not = why;
		return 0;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, sizeof(why), "/dev/net/tun: %s", strerror(errno));
		why_not = why;
		return 0;
	}
	close(fd);
	return 0;
}

static void skip_unless_possible(void)
{
	if (why_not) {
		print_message("SKIP: %s\n", why_not);
		skip();
	}
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct rig));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->g.d.board.host.loop)
		guest__end(&rig->g);
	net_config__free(&rig->cfg);
	free(rig);
	return 0;
}

static void plug(struct rig *rig, const char *network)
{
	struct net_backend *be;

	skip_unless_possible();
	assert_int_equal(net__parse(network, &rig->cfg), 0);
	assert_int_equal(net_backend__open(&rig->cfg, "net0", &be), 0);
	rig->info = net_backend__info(be);
	guest__plug(&rig->g, be);
}

/* Frames that are not the wanted ones (the host's own announcements) are passed over. */
static size_t await_kind(struct rig *rig, unsigned int ethertype, unsigned int protocol)
{
	for (unsigned int i = 0; i < 300; i++) {
		size_t len = guest__receive(&rig->g, &rig->header, rig->frame, sizeof(rig->frame));

		if (!len)
			poll(NULL, 0, 5);
		else if (get16(rig->frame + 12) == ethertype &&
			 (ethertype != 0x0800 || rig->frame[23] == protocol))
			return len;
	}
	return 0;
}

/* The host learns where the guest is, and the guest where the host. */
static void meet(struct rig *rig)
{
	uint8_t frame[60];

	guest__send(&rig->g, frame, make_arp(frame, NULL, 1, GUEST_IP, HOST_IP));
	do {
		assert_true(await_kind(rig, 0x0806, 0) >= 42);
	} while (get16(rig->frame + 20) != 2); /* the host may have a question of its own */
	assert_int_equal(get32(rig->frame + 28), HOST_IP);
	memcpy(rig->host_mac, rig->frame + 22, NET_MAC_LEN);
}

static int udp_socket(uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(HOST_IP) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void host_sends_udp(uint16_t port, const void *data, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(GUEST_IP) };
	int fd = udp_socket(port);

	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)), len);
	close(fd);
}

static size_t make_udp(struct rig *rig, uint8_t *frame, uint16_t port, const void *data, size_t len)
{
	uint8_t *udp = frame + 34;

	put16(udp, 9);
	put16(udp + 2, port);
	put16(udp + 4, (unsigned int)(8 + len));
	put16(udp + 6, 0);
	memcpy(udp + 8, data, len);
	return make_ip(frame, rig->host_mac, IPPROTO_UDP, GUEST_IP, HOST_IP, 8 + len);
}

/* --- frames ------------------------------------------------------------------------------------ */

static void the_host_answers_arp_and_pings(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[1514];

	plug(rig, "mode=tap");
	assert_string_equal(rig->info->kind, "tap");
	assert_int_equal(rig->info->mtu, 1500);
	assert_true(rig->info->vhost);
	guest__start(&rig->g, MRG, 32, 1536);
	meet(rig);
	for (unsigned int i = 0; i < 100; i++) {
		size_t payload = 10 + i * 14;
		size_t len = make_ping(frame, rig->host_mac, GUEST_IP, HOST_IP, i, payload);

		guest__send(&rig->g, frame, len);
		assert_int_equal(await_kind(rig, 0x0800, IPPROTO_ICMP), len);
		assert_int_equal(rig->frame[34], 0);
		assert_int_equal(get16(rig->frame + 40), i);
		assert_memory_equal(rig->frame + 42, frame + 42, payload);
		assert_int_equal(inet_sum(rig->frame + 34, 8 + payload, 0), 0);
	}
	assert_int_equal(guest__sent(&rig->g), 101);
}

static void a_driver_without_merging_is_served_too(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[200];

	plug(rig, "mode=tap");
	guest__start(&rig->g, 0, 32, 1526);
	meet(rig);
	guest__send(&rig->g, frame, make_ping(frame, rig->host_mac, GUEST_IP, HOST_IP, 1, 100));
	assert_int_equal(await_kind(rig, 0x0800, IPPROTO_ICMP), 142);
	assert_int_equal(rig->header.num_buffers, 1);
}

static void checksums_are_there_unless_the_guest_agreed_to_none(void **state)
{
	struct rig *rig = *state;

	plug(rig, "mode=tap");
	guest__start(&rig->g, MRG, 32, 1536);
	meet(rig);
	host_sends_udp(5001, "hello", 5);
	assert_true(await_kind(rig, 0x0800, IPPROTO_UDP) > 0);
	assert_int_equal(rig->header.hdr.flags, 0);
	assert_int_equal(inet_sum(rig->frame + 34, 13, pseudo_sum(rig->frame, 13)), 0);

	guest__start(&rig->g, MRG | GCSUM, 32, 1536);
	meet(rig);
	host_sends_udp(5002, "hello", 5);
	assert_true(await_kind(rig, 0x0800, IPPROTO_UDP) > 0);
	assert_int_equal(rig->header.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(le16toh(rig->header.hdr.csum_start), 34);
	assert_int_equal(le16toh(rig->header.hdr.csum_offset), 6);
}

static void checksums_that_the_guest_leaves_out_are_filled_in(void **state)
{
	struct rig *rig = *state;
	struct virtio_net_hdr_mrg_rxbuf header = { .hdr = { .flags =
								    VIRTIO_NET_HDR_F_NEEDS_CSUM } };
	uint8_t frame[200];
	char text[8] = "";
	uint32_t sum;
	size_t len;
	int fd;

	plug(rig, "mode=tap");
	guest__start(&rig->g, MRG | CSUM, 32, 1536);
	meet(rig);
	fd = udp_socket(5003);
	len = make_udp(rig, frame, 5003, "howdy", 5);
	/* 5.1.6.2: the field holds the sum of the pseudo header. */
	for (sum = pseudo_sum(frame, 13); sum >> 16;)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(frame + 40, sum);
	header.hdr.csum_start = htole16(34);
	header.hdr.csum_offset = htole16(6);
	guest__send_as(&rig->g, &header, frame, len);
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 2000);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 5);
	assert_string_equal(text, "howdy");
	close(fd);
}

static void a_guest_that_agreed_gets_segments_larger_than_the_mtu(void **state)
{
	struct rig *rig = *state;
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(7),
				  .sin_addr.s_addr = htonl(GUEST_IP) };
	uint8_t frame[200], data[12000];
	uint32_t first, offset;
	uint16_t port;
	size_t len, at;
	int fd;

	plug(rig, "mode=tap");
	guest__start(&rig->g, MRG | GCSUM | GTSO4, 32, 1536);
	meet(rig);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), -1);
	assert_true(await_kind(rig, 0x0800, IPPROTO_TCP) >= 54);
	assert_int_equal(rig->frame[47] & 0x12, 0x02); /* SYN */
	port = (uint16_t)get16(rig->frame + 34);
	first = get32(rig->frame + 38) + 1;
	guest__send(&rig->g, frame,
		    make_tcp(frame, rig->host_mac, GUEST_IP, HOST_IP, 7, port, 1000, first, 0x12,
			     NULL, 0));
	poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 2000);
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	/* The first may be short: so many bytes at a time as the host likes. */
	do {
		len = await_kind(rig, 0x0800, IPPROTO_TCP);
		assert_true(len > 0);
	} while (len <= 1514);
	assert_int_equal(rig->header.hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_true(le16toh(rig->header.num_buffers) > 1);
	at = 34u + (rig->frame[46] >> 4) * 4u;
	offset = get32(rig->frame + 38) - first;
	assert_true(offset + len - at <= sizeof(data));
	assert_memory_equal(rig->frame + at, data + offset, len - at);
	close(fd);
}

static void lies_in_a_header_cost_the_guest_its_frame_and_nothing_else(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[200], header[12];
	size_t len;

	plug(rig, "mode=tap");
	guest__start(&rig->g, MRG | CSUM, 32, 1536);
	meet(rig);
	srandom(1);
	for (unsigned int i = 0; i < 2000; i++) {
		for (unsigned int j = 0; j < sizeof(header); j++)
			header[j] = (uint8_t)(i & 1 ? random() : 0xff);
		len = make_udp(rig, frame, 5004, "x", 1);
		guest__send_as(&rig->g, header, frame, len);
		assert_int_equal(guest__sent(&rig->g), i ? 1 : 2);
	}
	guest__send(&rig->g, frame, make_ping(frame, rig->host_mac, GUEST_IP, HOST_IP, 1, 100));
	assert_int_equal(await_kind(rig, 0x0800, IPPROTO_ICMP), 142);
	assert_false(driver__needs_reset(&rig->g.d));
}

static void offloads_change_while_it_runs(void **state)
{
	struct rig *rig = *state;
	uint64_t none = 0, more = htole64(GCSUM | GTSO4);

	plug(rig, "mode=tap");
	guest__start(&rig->g,
		     MRG | GCSUM | BIT(VIRTIO_NET_F_CTRL_VQ) |
			     BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS),
		     32, 1536);
	meet(rig);
	assert_int_equal(guest__control(&rig->g, 5, 0, &none, 8), 0);
	host_sends_udp(5005, "hello", 5);
	assert_true(await_kind(rig, 0x0800, IPPROTO_UDP) > 0);
	assert_int_equal(rig->header.hdr.flags, 0);
	/* What was not negotiated cannot be switched on. */
	assert_int_equal(guest__control(&rig->g, 5, 0, &more, 8), 1);
}

/* --- pairs ------------------------------------------------------------------------------------- */

/* Up to DRIVER_OK with two pairs of queues; the second has one receive buffer. */
static void start_two_pairs(struct rig *rig, struct driver_queue *rx1, struct driver_queue *tx1)
{
	struct driver *d = &rig->g.d;
	struct driver_buf room = { .len = 2000, .flags = VRING_DESC_F_WRITE };
	struct driver_queue *all[] = { &rig->g.rx, &rig->g.tx, rx1, tx1, &rig->g.ctrl };

	assert_true(driver__negotiate(d, MRG | BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) |
						 BIT(VIRTIO_F_VERSION_1)));
	rig->g.header = 12;
	rig->g.rx_len = 1536;
	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++)
		dq__init(all[i], d, i, 64, false, false);
	for (unsigned int i = 0; i < 32; i++)
		guest__give(&rig->g, i);
	room.gpa = rx1->buffers;
	dq__add(rx1, 0, &room, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++)
		driver__enable_queue(all[i]);
	driver__ok(d);
	driver__run(d);
}

static bool second_pair_reaches(struct rig *rig, struct driver_queue *tx1, int fd)
{
	struct driver_buf buf = { .gpa = tx1->buffers };
	uint8_t *at = driver__at(&rig->g.d, buf.gpa);
	uint32_t id, len;
	char text[8];

	memset(at, 0, 12);
	buf.len = (uint32_t)(12 + make_udp(rig, at + 12, 5006, "two", 3));
	dq__add(tx1, 0, &buf, 1);
	driver__notify(tx1);
	driver__run(&rig->g.d);
	assert_true(dq__get(tx1, &id, &len));
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 100);
	return recv(fd, text, sizeof(text), 0) == 3;
}

static void the_guest_chooses_how_many_pairs_it_uses(void **state)
{
	struct rig *rig = *state;
	struct driver_queue rx1, tx1;
	struct capture capture;
	char words[512];
	int fd;

	plug(rig, "mode=tap,mq=2");
	assert_int_equal(rig->info->pairs, 2);
	assert_int_equal(board__load(&rig->g.d.board, DRIVER_MMIO + 0x108, 2), 2);
	capture__begin(&capture);
	start_two_pairs(rig, &rx1, &tx1);
	meet(rig);
	fd = udp_socket(5006);
	assert_false(second_pair_reaches(rig, &tx1, fd));
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(guest__control(&rig->g, 4, 0, "\2", 2), 0);
		assert_true(second_pair_reaches(rig, &tx1, fd));
		assert_int_equal(guest__control(&rig->g, 4, 0, "\1", 2), 0);
		assert_false(second_pair_reaches(rig, &tx1, fd));
		meet(rig);
	}
	assert_int_equal(guest__control(&rig->g, 4, 0, "\0", 2), 1);
	assert_int_equal(guest__control(&rig->g, 4, 0, "\3", 2), 1);
	assert_int_equal(guest__control(&rig->g, 4, 0, "\1\1", 2), 1);
	capture__end(&capture, words, sizeof(words));
	assert_string_equal(words, ""); /* an idle pair is nothing to complain about */
	close(fd);
}

static void a_driver_of_one_pair_finds_its_control_queue(void **state)
{
	struct rig *rig = *state;
	uint8_t on = 1;

	plug(rig, "mode=tap,mq=2");
	guest__start(&rig->g, MRG | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX), 32,
		     1536);
	assert_int_equal(rig->g.ctrl.index, 2);
	assert_int_equal(guest__control(&rig->g, 0, 0, &on, 1), 0);
	meet(rig);
}

/* --- the interface ----------------------------------------------------------------------------- */

static int delete_interface(const char *name)
{
	char command[64];

	snprintf(command, sizeof(command), "ip link del %s", name);
	return system(command);
}

static void an_interface_that_is_deleted_takes_the_link_down_with_one_line(void **state)
{
	struct rig *rig = *state;
	struct capture capture;
	uint8_t frame[60] = { 0 };
	char words[512];

	plug(rig, "mode=tap,tapif=gone0");
	guest__start(&rig->g, MRG | BIT(VIRTIO_NET_F_STATUS), 32, 1536);
	meet(rig);
	capture__begin(&capture);
	if (delete_interface("gone0")) {
		capture__end(&capture, words, sizeof(words));
		print_message("SKIP: ip link del: %s\n", words);
		skip();
	}
	driver__run(&rig->g.d);
	for (unsigned int i = 0; i < 10; i++)
		guest__send(&rig->g, frame, sizeof(frame));
	capture__end(&capture, words, sizeof(words));
	assert_int_equal(count_lines(words), 1);
	assert_non_null(strstr(words, "gone0 is gone"));
	assert_int_equal(board__load(&rig->g.d.board, DRIVER_MMIO + 0x106, 2), 0);
	assert_false(driver__needs_reset(&rig->g.d));
}

/* net_backend__open() of what cannot be opened says @why. */
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

static int open_tap(const char *name, short flags)
{
	struct ifreq ifr = { .ifr_flags = flags };
	int fd = open("/dev/net/tun", O_RDWR);

	assert_true(fd >= 0);
	strcpy(ifr.ifr_name, name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void what_cannot_be_opened_says_why(void **state)
{
	int fd;

	skip_unless_possible();
	refuse("tapif=lo", "interface lo:");
	refuse("fd=999", "fd=999: no such descriptor: was it inherited?");
	refuse("fd=2", "fd=2: not a tap descriptor");
	refuse("tapif=t1,script=/bin/false", "/bin/false t1: exit status 1");
	refuse("tapif=t2,script=/no/such/file", "cannot run /no/such/file: No such file");
	fd = open_tap("busy0", IFF_TAP | IFF_NO_PI);
	refuse("tapif=busy0", "interface busy0: Device or resource busy: another program uses it");
	close(fd);
	fd = open_tap("tun0", IFF_TUN | IFF_NO_PI);
	refuse("tapif=tun0", "interface tun0: Invalid argument: it is not a tap interface");
	close(fd);
}

static void a_script_is_given_the_name_of_the_interface(void **state)
{
	struct rig *rig = *state;
	char script[] = "/tmp/lkvm-test-XXXXXX", network[128], out[64], text[64] = "";
	int fd;
	FILE *file;

	skip_unless_possible();
	fd = mkstemp(script);
	assert_true(fd >= 0);
	snprintf(out, sizeof(out), "%s.out", script);
	dprintf(fd, "#!/bin/sh\necho up $1 >> %s\n", out);
	fchmod(fd, 0700);
	close(fd);
	snprintf(network, sizeof(network), "tapif=scripted,script=%s,downscript=%s", script,
		 script);
	plug(rig, network);
	guest__end(&rig->g);
	rig->g.d.board.host.loop = NULL;
	file = fopen(out, "r");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, file), 24);
	assert_string_equal(text, "up scripted\nup scripted\n");
	fclose(file);
	unlink(script);
	unlink(out);
}

static void bring_up(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "ip link set %s up", name);
	assert_int_equal(system(command), 0);
}

static void an_inherited_tap_without_headers_works_without_offloads(void **state)
{
	struct rig *rig = *state;
	char network[32];
	int fd;

	skip_unless_possible();
	fd = open_tap("plain0", IFF_TAP | IFF_NO_PI);
	snprintf(network, sizeof(network), "fd=%d", fd);
	plug(rig, network);
	assert_false(rig->info->vhost);
	assert_int_equal(rig->info->offloads, 0);
	bring_up("plain0");
	assert_int_equal(system("ip addr add 192.168.33.1/24 dev plain0"), 0);
	guest__start(&rig->g, MRG, 32, 1536);
	meet(rig);
	host_sends_udp(5007, "hello", 5);
	assert_true(await_kind(rig, 0x0800, IPPROTO_UDP) > 0);
	assert_int_equal(inet_sum(rig->frame + 34, 13, pseudo_sum(rig->frame, 13)), 0);
}

static void an_inherited_tap_with_headers_has_offloads(void **state)
{
	struct rig *rig = *state;
	char network[32];
	int fd;

	skip_unless_possible();
	fd = open_tap("vnet0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	snprintf(network, sizeof(network), "fd=%d", fd);
	plug(rig, network);
	assert_true(rig->info->vhost);
	assert_int_not_equal(rig->info->offloads, 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	bring_up("vnet0");
	assert_int_equal(system("ip addr add 192.168.33.1/24 dev vnet0"), 0);
	guest__start(&rig->g, MRG, 32, 1536);
	meet(rig);
}

static void vhost_without_its_node_is_said_and_done_without(void **state)
{
	struct rig *rig = *state;
	struct virtio_net_params params = { .vhost = true };
	struct virtio_device *dev;
	struct capture capture;
	char words[512];

	skip_unless_possible();
	if (!access("/dev/vhost-net", F_OK)) {
		print_message("SKIP: this host has /dev/vhost-net\n");
		skip();
	}
	assert_int_equal(net__parse("mode=tap,vhost=1", &rig->cfg), 0);
	assert_int_equal(net_backend__open(&rig->cfg, "net0", &params.backend), 0);
	driver__init(&rig->g.d);
	capture__begin(&capture);
	dev = virtio_net__create(&rig->g.d.board.host, &params);
	capture__end(&capture, words, sizeof(words));
	assert_non_null(strstr(words, "no /dev/vhost-net here"));
	driver__plug(&rig->g.d, dev);
	guest__start(&rig->g, MRG, 32, 1536);
	meet(rig);
}

#define rule(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rule(the_host_answers_arp_and_pings),
		rule(a_driver_without_merging_is_served_too),
		rule(checksums_are_there_unless_the_guest_agreed_to_none),
		rule(checksums_that_the_guest_leaves_out_are_filled_in),
		rule(a_guest_that_agreed_gets_segments_larger_than_the_mtu),
		rule(lies_in_a_header_cost_the_guest_its_frame_and_nothing_else),
		rule(offloads_change_while_it_runs),
		rule(the_guest_chooses_how_many_pairs_it_uses),
		rule(a_driver_of_one_pair_finds_its_control_queue),
		rule(an_interface_that_is_deleted_takes_the_link_down_with_one_line),
		rule(what_cannot_be_opened_says_why),
		rule(a_script_is_given_the_name_of_the_interface),
		rule(an_inherited_tap_without_headers_works_without_offloads),
		rule(an_inherited_tap_with_headers_has_offloads),
		rule(vhost_without_its_node_is_said_and_done_without),
	};

	return cmocka_run_group_tests_name("net-tap", tests, look_around, NULL);
}
