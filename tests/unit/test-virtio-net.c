// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The network device before a peer on a socket: frames arrive whole and in order in both directions,
 * nobody's slowness loses any, and no driver breaks more than its own device.
 */
#include "net-guest.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "net-capture.h"

#define MRG BIT(VIRTIO_NET_F_MRG_RXBUF)

struct rig {
	struct guest g;
	int peer;
	uint8_t frame[GUEST_FRAME];
	struct virtio_net_hdr_mrg_rxbuf header;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct net_backend *be;
	int fd[2], size = 1 << 20;

	assert_non_null(rig);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	assert_int_equal(net_backend__open_stream(fd[0], "peer", "net0", &be), 0);
	rig->peer = fd[1];
	guest__plug(&rig->g, be);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	guest__end(&rig->g);
	close(rig->peer);
	free(rig);
	return 0;
}

static void fill(uint8_t *frame, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 31 + seed);
}

static void peer_sends(struct rig *rig, size_t len, unsigned int seed)
{
	uint8_t *frame = malloc(4 + len);

	assert_non_null(frame);
	put32(frame, (uint32_t)len);
	fill(frame + 4, len, seed);
	assert_int_equal(send(rig->peer, frame, 4 + len, 0), 4 + len);
	free(frame);
}

static void guest_gets(struct rig *rig, size_t len, unsigned int seed)
{
	uint8_t *want = malloc(len);

	assert_non_null(want);
	fill(want, len, seed);
	assert_int_equal(guest__receive(&rig->g, &rig->header, rig->frame, sizeof(rig->frame)),
			 len);
	assert_memory_equal(rig->frame, want, len);
	free(want);
}

static void guest_gets_nothing(struct rig *rig)
{
	assert_int_equal(guest__receive(&rig->g, &rig->header, rig->frame, sizeof(rig->frame)), 0);
}

/* The peer's next frame. Return: its length, 0 if there is none. */
static size_t peer_gets(struct rig *rig)
{
	uint8_t prefix[4];
	size_t len, have = 0;

	if (recv(rig->peer, prefix, 4, 0) != 4)
		return 0;
	len = get32(prefix);
	assert_true(len <= sizeof(rig->frame));
	while (have < len) {
		ssize_t got = recv(rig->peer, rig->frame + have, len - have, 0);

		if (got <= 0)
			driver__run(&rig->g.d);
		else
			have += (size_t)got;
	}
	return len;
}

/* --- what it is -------------------------------------------------------------------------------- */

static void the_configuration_says_what_there_is(void **state)
{
	struct rig *rig = *state;
	struct board *board = &rig->g.d.board;

	assert_int_equal(driver__reg(&rig->g.d, VIRTIO_MMIO_DEVICE_ID), 1);
	for (unsigned int i = 0; i < NET_MAC_LEN; i++)
		assert_int_equal(board__load(board, DRIVER_MMIO + 0x100 + i, 1), guest_mac[i]);
	assert_int_equal(board__load(board, DRIVER_MMIO + 0x106, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(board__load(board, DRIVER_MMIO + 0x108, 2), 1);
	assert_int_equal(board__load(board, DRIVER_MMIO + 0x10a, 2), 65520);
}

static void a_peer_without_headers_has_no_offloads(void **state)
{
	struct rig *rig = *state;
	uint64_t offered = driver__offered(&rig->g.d);

	assert_true(offered & MRG);
	assert_true(offered & BIT(VIRTIO_NET_F_MTU));
	assert_false(offered & (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
				BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
				BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_GUEST_UFO)));
}

static void features_that_need_others_are_refused_alone(void **state)
{
	struct rig *rig = *state;
	uint64_t base = BIT(VIRTIO_F_VERSION_1);

	assert_false(driver__negotiate(&rig->g.d, base | BIT(VIRTIO_NET_F_CTRL_RX)));
	assert_false(driver__negotiate(&rig->g.d, base | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR)));
	assert_true(driver__negotiate(&rig->g.d, base | BIT(VIRTIO_NET_F_CTRL_RX) |
							 BIT(VIRTIO_NET_F_CTRL_VQ)));
}

/* --- frames ------------------------------------------------------------------------------------ */

static void frames_go_out_as_they_are(void **state)
{
	struct rig *rig = *state;
	static const size_t lens[] = { 14, 60, 1514, 4000, 30000 };
	uint8_t *frame = malloc(GUEST_FRAME);

	guest__start(&rig->g, MRG, 0, 1526);
	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
		fill(frame, lens[i], i);
		guest__send(&rig->g, frame, lens[i]);
		assert_int_equal(guest__sent(&rig->g), 1);
		assert_int_equal(peer_gets(rig), lens[i]);
		assert_memory_equal(rig->frame, frame, lens[i]);
	}
	free(frame);
}

static void frames_come_in_as_they_are(void **state)
{
	struct rig *rig = *state;
	struct virtio_net_hdr zero = { 0 };

	guest__start(&rig->g, MRG, 32, 1536);
	for (unsigned int i = 0; i < 200; i++) {
		peer_sends(rig, 60 + i * 7, i);
		guest_gets(rig, 60 + i * 7, i);
		assert_int_equal(rig->header.num_buffers, 1 + (60 + i * 7 + 11) / 1536);
		assert_memory_equal(&rig->header.hdr, &zero, 10);
	}
}

static void a_burst_arrives_whole_and_in_order(void **state)
{
	struct rig *rig = *state;

	guest__start(&rig->g, MRG, 32, 1536);
	for (unsigned int i = 0; i < 150; i++)
		peer_sends(rig, 100 + i, i);
	for (unsigned int i = 0; i < 150; i++)
		guest_gets(rig, 100 + i, i);
	guest_gets_nothing(rig);
}

static void the_largest_frame_fills_many_buffers(void **state)
{
	struct rig *rig = *state;

	guest__start(&rig->g, MRG, 60, 1092);
	peer_sends(rig, 65000, 3);
	guest_gets(rig, 65000, 3);
	assert_int_equal(rig->header.num_buffers, (65012 + 1091) / 1092);
}

static void a_frame_waits_for_the_buffers_it_lacks(void **state)
{
	struct rig *rig = *state;
	uint32_t id, len;

	guest__start(&rig->g, MRG, 4, 1000);
	peer_sends(rig, 5000, 1);
	peer_sends(rig, 100, 2);
	driver__run(&rig->g.d);
	assert_false(dq__get(&rig->g.rx, &id, &len));
	guest__give(&rig->g, 4);
	driver__notify(&rig->g.rx);
	driver__run(&rig->g.d);
	assert_false(dq__get(&rig->g.rx, &id, &len));
	guest__give(&rig->g, 5);
	driver__notify(&rig->g.rx);
	guest_gets(rig, 5000, 1);
	guest_gets(rig, 100, 2);
}

static void without_buffers_frames_stay_with_the_peer(void **state)
{
	struct rig *rig = *state;

	guest__start(&rig->g, MRG, 0, 1536);
	for (unsigned int i = 0; i < 20; i++)
		peer_sends(rig, 1000, i);
	guest_gets_nothing(rig);
	for (unsigned int i = 0; i < 20; i++)
		guest__give(&rig->g, i);
	driver__notify(&rig->g.rx);
	for (unsigned int i = 0; i < 20; i++)
		guest_gets(rig, 1000, i);
}

static void without_merging_a_frame_is_one_buffer_or_lost(void **state)
{
	struct rig *rig = *state;

	guest__start(&rig->g, 0, 8, 1526);
	peer_sends(rig, 1514, 1);
	peer_sends(rig, 1515, 2);
	peer_sends(rig, 60, 3);
	guest_gets(rig, 1514, 1);
	assert_int_equal(rig->header.num_buffers, 1);
	guest_gets(rig, 60, 3);
	guest_gets_nothing(rig);
}

static void a_busy_peer_holds_frames_back_but_loses_none(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[3000];
	unsigned int taken = 0, sent = 0;

	guest__start(&rig->g, MRG, 0, 1536);
	/* Eight at a time are on their way, and none is written over before it has gone. */
	while (sent < taken + 8) {
		fill(frame, sizeof(frame), sent++);
		guest__send(&rig->g, frame, sizeof(frame));
		taken += guest__sent(&rig->g);
		assert_true(sent < 10000);
	}
	for (unsigned int i = 0; i < sent; i++) {
		assert_int_equal(peer_gets(rig), sizeof(frame));
		fill(frame, sizeof(frame), i);
		assert_memory_equal(rig->frame, frame, sizeof(frame));
		driver__run(&rig->g.d);
	}
	assert_int_equal(taken + guest__sent(&rig->g), sent);
}

static void a_frame_that_goes_out_in_parts_arrives_whole(void **state)
{
	struct rig *rig = *state;
	uint8_t *frame = malloc(60000);
	unsigned int sent = 0;

	assert_non_null(frame);
	fill(frame, 60000, 5);
	guest__start(&rig->g, MRG, 0, 1536);
	do {
		guest__send(&rig->g, frame, 60000);
		sent++;
		assert_true(sent < 100);
	} while (guest__sent(&rig->g));
	for (unsigned int i = 0; i < sent; i++) {
		assert_int_equal(peer_gets(rig), 60000);
		assert_memory_equal(rig->frame, frame, 60000);
		driver__run(&rig->g.d);
	}
	free(frame);
}

static void what_has_been_read_ahead_is_delivered_without_being_asked_again(void **state)
{
	struct rig *rig = *state;
	unsigned int nr = 0;
	uint32_t id, len;

	for (unsigned int i = 0; i < 100; i++)
		peer_sends(rig, 60, i);
	guest__start(&rig->g, MRG, 120, 512);
	driver__run(&rig->g.d);
	while (dq__get(&rig->g.rx, &id, &len))
		nr++;
	assert_int_equal(nr, 100);
}

static void nobody_is_notified_for_nothing(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[60] = { 0 };

	guest__start(&rig->g, MRG, 8, 1536);
	guest__send(&rig->g, frame, sizeof(frame));
	assert_true(driver__ack(&rig->g.d) & VIRTIO_MMIO_INT_VRING);
	dq__set_interrupts(&rig->g.tx, false);
	guest__send(&rig->g, frame, sizeof(frame));
	assert_int_equal(driver__ack(&rig->g.d), 0);
	/* While buffers are there, the device does not want to hear of more. */
	assert_false(dq__wants_notify(&rig->g.rx, rig->g.rx.next));
}

static void indirect_and_scattered_buffers_serve_as_well(void **state)
{
	struct rig *rig = *state;
	struct driver_buf bufs[10], table = { .flags = VRING_DESC_F_INDIRECT };
	uint8_t frame[100];
	uint64_t at;

	guest__start(&rig->g, MRG | BIT(VIRTIO_RING_F_INDIRECT_DESC), 0, 1536);
	at = rig->g.tx.buffers;
	fill(frame, sizeof(frame), 9);
	memset(driver__at(&rig->g.d, at), 0, 4096);
	for (unsigned int i = 0; i < 100; i++) /* the first and every other piece is elsewhere */
		*(uint8_t *)driver__at(&rig->g.d, at + 12 + i / 20 * 512 + i % 20) = frame[i];
	bufs[0] = (struct driver_buf){ .gpa = at + 8192, .len = 12 };
	memset(driver__at(&rig->g.d, at + 8192), 0, 12);
	for (unsigned int i = 0; i < 5; i++)
		bufs[1 + i] = (struct driver_buf){ .gpa = at + 12 + i * 512, .len = 20 };
	dq__write_table(&rig->g.tx, at + 16384, bufs, 6);
	table.gpa = at + 16384;
	table.len = 6 * 16;
	dq__add(&rig->g.tx, 0, &table, 1);
	driver__notify(&rig->g.tx);
	driver__run(&rig->g.d);
	assert_int_equal(peer_gets(rig), 100);
	assert_memory_equal(rig->frame, frame, 100);
}

static void after_a_reset_it_starts_anew(void **state)
{
	struct rig *rig = *state;

	guest__start(&rig->g, MRG, 8, 1536);
	peer_sends(rig, 500, 1);
	guest_gets(rig, 500, 1);
	driver__set_reg(&rig->g.d, VIRTIO_MMIO_STATUS, 0);
	peer_sends(rig, 600, 2);
	driver__run(&rig->g.d);
	guest__start(&rig->g, 0, 8, 1526);
	guest_gets(rig, 600, 2);
}

static void a_queue_can_be_reset_by_itself(void **state)
{
	struct rig *rig = *state;
	struct driver *d = &rig->g.d;

	guest__start(&rig->g, MRG | BIT(VIRTIO_F_RING_RESET), 8, 1536);
	peer_sends(rig, 500, 1);
	guest_gets(rig, 500, 1);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_SEL, 0);
	driver__set_reg(d, 0x0c0, 1);
	peer_sends(rig, 600, 2);
	driver__run(d);
	dq__init(&rig->g.rx, d, 0, 32, false, false);
	for (unsigned int i = 0; i < 8; i++)
		guest__give(&rig->g, i);
	driver__enable_queue(&rig->g.rx);
	guest_gets(rig, 600, 2);
}

/* --- drivers of before 1.0 --------------------------------------------------------------------- */

static void enable_legacy_queue(struct driver_queue *q)
{
	struct driver *d = q->d;

	q->driver = q->desc + 16 * q->size;
	q->device = q->desc + 4096;
	driver__set_reg(d, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_SEL, q->index);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_NUM, q->size);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_ALIGN, 4096);
	driver__set_reg(d, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(q->desc / 4096));
}

static void an_old_driver_has_a_header_of_ten_bytes(void **state)
{
	struct rig *rig = *state;
	struct virtio_mmio_config cfg = { .base = DRIVER_MMIO, .gsi = DRIVER_GSI, .legacy = true };
	struct virtio_net_params params = { .index = 1 };
	struct guest *g = &rig->g;
	uint8_t frame[60];
	uint32_t id, len;
	int fd[2];

	device_list__unrealize(&g->d.board.devices);
	close(rig->peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(net_backend__open_stream(fd[0], "peer", "net1", &params.backend), 0);
	rig->peer = fd[1];
	board__add(&g->d.board,
		   virtio_mmio__create(&g->d.board.host,
				       virtio_net__create(&g->d.board.host, &params), &cfg));
	driver__set_reg(&g->d, VIRTIO_MMIO_STATUS, 3);
	driver__set_reg(&g->d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)BIT(VIRTIO_NET_F_MAC));
	dq__init(&g->rx, &g->d, 0, 64, false, false);
	dq__init(&g->tx, &g->d, 1, 64, false, false);
	enable_legacy_queue(&g->rx);
	enable_legacy_queue(&g->tx);
	g->rx_len = 1524;
	g->header = NET_LEGACY_HEADER;
	guest__give(g, 0);
	driver__set_reg(&g->d, VIRTIO_MMIO_STATUS, 7);
	fill(frame, sizeof(frame), 1);
	guest__send(g, frame, sizeof(frame));
	assert_int_equal(peer_gets(rig), sizeof(frame));
	assert_memory_equal(rig->frame, frame, sizeof(frame));
	peer_sends(rig, sizeof(frame), 2);
	driver__notify(&g->rx);
	driver__run(&g->d);
	assert_true(dq__get(&g->rx, &id, &len));
	assert_int_equal(len, 10 + sizeof(frame));
	fill(frame, sizeof(frame), 2);
	assert_memory_equal(driver__at(&g->d, g->rx.buffers + 10), frame, sizeof(frame));
}

/* --- a thread of its own ----------------------------------------------------------------------- */

static int setup_threaded(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct virtio_net_params params = { .own_thread = true };
	int fd[2];

	assert_non_null(rig);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(net_backend__open_stream(fd[0], "peer", "net0", &params.backend), 0);
	rig->peer = fd[1];
	driver__init(&rig->g.d);
	driver__plug(&rig->g.d, virtio_net__create(&rig->g.d.board.host, &params));
	*state = rig;
	return 0;
}

static void a_thread_of_its_own_serves_both_directions(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[500];
	uint32_t id = 0, len = 0;

	guest__start(&rig->g, MRG, 32, 1536);
	for (unsigned int i = 0; i < 500; i++) {
		fill(frame, sizeof(frame), i);
		guest__send(&rig->g, frame, sizeof(frame));
		assert_true(dq__wait(&rig->g.tx, &id, &len));
		assert_int_equal(peer_gets(rig), sizeof(frame));
		assert_memory_equal(rig->frame, frame, sizeof(frame));
		peer_sends(rig, 400, i);
		assert_true(dq__wait(&rig->g.rx, &id, &len));
		assert_int_equal(len, 412);
		fill(frame, 400, i);
		assert_memory_equal(driver__at(&rig->g.d, rig->g.rx.buffers + id * 1536ull + 12),
				    frame, 400);
		guest__give(&rig->g, id);
		driver__notify(&rig->g.rx);
	}
}

struct chatter {
	int peer;
	atomic_bool stop;
};

/* A peer that sends, and reads what it is sent, as fast as it can. */
static void *chat(void *ctx)
{
	struct chatter *chatter = ctx;
	uint8_t out[1004] = { 0, 0, 0x03, 0xe8 }, in[4096];
	size_t sent = 0;

	while (!atomic_load(&chatter->stop)) {
		ssize_t len = send(chatter->peer, out + sent, sizeof(out) - sent, MSG_NOSIGNAL);

		if (len > 0)
			sent = (sent + (size_t)len) % sizeof(out);
		len = recv(chatter->peer, in, sizeof(in), 0);
		if (len < 0)
			sched_yield();
	}
	return NULL;
}

static void resets_in_the_midst_of_traffic_do_no_harm(void **state)
{
	struct rig *rig = *state;
	struct chatter chatter = { .peer = rig->peer };
	uint8_t frame[1000] = { 1 };
	uint32_t id, len;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, chat, &chatter), 0);
	for (unsigned int round = 0; round < 200; round++) {
		guest__start(&rig->g, MRG | BIT(VIRTIO_F_RING_RESET), 32, 1536);
		for (unsigned int i = 0; i < 8; i++)
			guest__send(&rig->g, frame, sizeof(frame));
		assert_true(dq__wait(&rig->g.rx, &id, &len));
		assert_int_equal(len, 1012);
		if (round % 2) {
			driver__set_reg(&rig->g.d, VIRTIO_MMIO_QUEUE_SEL, round % 4 == 1);
			driver__set_reg(&rig->g.d, 0x0c0, 1);
		}
		driver__set_reg(&rig->g.d, VIRTIO_MMIO_STATUS, 0);
	}
	atomic_store(&chatter.stop, true);
	pthread_join(thread, NULL);
}

static void a_peer_that_goes_while_the_device_is_reset_does_no_harm(void **state)
{
	struct rig *rig = *state;
	struct capture capture;
	char words[512];

	guest__start(&rig->g, MRG, 32, 1536);
	capture__begin(&capture);
	close(rig->peer);
	driver__set_reg(&rig->g.d, VIRTIO_MMIO_STATUS, 0);
	rig->peer = -1;
	for (unsigned int i = 0; i < 20; i++)
		guest__start(&rig->g, MRG, 32, 1536);
	for (unsigned int i = 0; i < 200; i++) {
		if (!board__load(&rig->g.d.board, DRIVER_MMIO + 0x106, 2))
			break;
		poll(NULL, 0, 10);
	}
	assert_int_equal(board__load(&rig->g.d.board, DRIVER_MMIO + 0x106, 2), 0);
	driver__set_reg(&rig->g.d, VIRTIO_MMIO_STATUS, 0);
	capture__end(&capture, words, sizeof(words));
	assert_int_equal(count_lines(words), 1);
}

/* --- link -------------------------------------------------------------------------------------- */

static void a_peer_that_goes_takes_the_link_down_with_one_line(void **state)
{
	struct rig *rig = *state;
	struct capture capture;
	uint8_t frame[60] = { 0 };
	char words[512];

	guest__start(&rig->g, MRG | BIT(VIRTIO_NET_F_STATUS), 8, 1536);
	peer_sends(rig, 500, 1);
	guest_gets(rig, 500, 1);
	driver__ack(&rig->g.d);
	capture__begin(&capture);
	close(rig->peer);
	driver__run(&rig->g.d);
	for (unsigned int i = 0; i < 20; i++)
		guest__send(&rig->g, frame, sizeof(frame));
	capture__end(&capture, words, sizeof(words));
	rig->peer = -1;
	assert_int_equal(count_lines(words), 1);
	assert_non_null(strstr(words, "net0: peer is gone; the guest's link is down"));
	assert_true(driver__ack(&rig->g.d) & VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(board__load(&rig->g.d.board, DRIVER_MMIO + 0x106, 2), 0);
	assert_int_equal(guest__sent(&rig->g), 20);
	assert_false(driver__needs_reset(&rig->g.d));
}

static void a_peer_that_loses_its_place_is_cut_off(void **state)
{
	struct rig *rig = *state;
	static const uint8_t huge[8] = { 0x00, 0x01, 0x00, 0x12 };
	struct capture capture;
	char words[512];

	guest__start(&rig->g, MRG, 8, 1536);
	capture__begin(&capture);
	assert_int_equal(send(rig->peer, huge, 8, 0), 8);
	driver__run(&rig->g.d);
	capture__end(&capture, words, sizeof(words));
	assert_non_null(strstr(words, "announced a frame of 65554 bytes"));
	guest_gets_nothing(rig);
}

/* --- control queue ----------------------------------------------------------------------------- */

#define CTRL                                                           \
	(MRG | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) | \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

static void receive_modes_are_acknowledged(void **state)
{
	struct rig *rig = *state;
	uint8_t on = 1, two[2] = { 1, 1 };

	guest__start(&rig->g, CTRL, 0, 1536);
	assert_int_equal(guest__control(&rig->g, 0, 0, &on, 1), 0);
	assert_int_equal(guest__control(&rig->g, 0, 1, &on, 1), 0);
	assert_int_equal(guest__control(&rig->g, 0, 0, two, 2), 1);
	assert_int_equal(guest__control(&rig->g, 0, 5, &on, 1), 1);
	assert_int_equal(guest__control(&rig->g, 77, 0, &on, 1), 1);
}

static void the_driver_sets_its_address(void **state)
{
	struct rig *rig = *state;
	static const uint8_t mac[] = { 2, 9, 8, 7, 6, 5 };

	guest__start(&rig->g, CTRL, 0, 1536);
	assert_int_equal(guest__control(&rig->g, 1, 1, mac, 5), 1);
	assert_int_equal(guest__control(&rig->g, 1, 1, mac, 6), 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(board__load(&rig->g.d.board, DRIVER_MMIO + 0x100 + i, 1), mac[i]);
}

static void tables_of_addresses_must_be_as_long_as_they_say(void **state)
{
	struct rig *rig = *state;
	uint8_t table[64] = { 1 };

	guest__start(&rig->g, CTRL, 0, 1536);
	assert_int_equal(guest__control(&rig->g, 1, 0, table, 14), 0);
	assert_int_equal(guest__control(&rig->g, 1, 0, table, 13), 1);
	assert_int_equal(guest__control(&rig->g, 1, 0, table, 15), 1);
	memset(table, 0xff, 4);
	assert_int_equal(guest__control(&rig->g, 1, 0, table, 14), 1);
	memset(table, 0, sizeof(table));
	table[4] = 2;
	assert_int_equal(guest__control(&rig->g, 1, 0, table, 20), 0);
}

static void what_was_not_negotiated_is_refused(void **state)
{
	struct rig *rig = *state;
	uint8_t data[8] = { 1 };

	guest__start(&rig->g, MRG | BIT(VIRTIO_NET_F_CTRL_VQ), 0, 1536);
	assert_int_equal(guest__control(&rig->g, 0, 0, data, 1), 1);
	assert_int_equal(guest__control(&rig->g, 1, 1, data, 6), 1);
	assert_int_equal(guest__control(&rig->g, 4, 0, data, 2), 1);
	assert_int_equal(guest__control(&rig->g, 5, 0, data, 8), 1);
}

/* --- hostile drivers --------------------------------------------------------------------------- */

static void break_with(struct rig *rig, struct driver_queue *q, const struct driver_buf *bufs,
		       unsigned int nr, const char *why)
{
	struct capture capture;
	char words[512];

	capture__begin(&capture);
	dq__add(q, 8, bufs, nr);
	driver__notify(q);
	driver__run(&rig->g.d);
	capture__end(&capture, words, sizeof(words));
	assert_true(driver__needs_reset(&rig->g.d));
	assert_non_null(strstr(words, why));
}

static void a_frame_shorter_than_its_header_breaks_the_device(void **state)
{
	struct rig *rig = *state;
	struct driver_buf buf = { .len = 11 };

	guest__start(&rig->g, MRG, 0, 1536);
	buf.gpa = rig->g.tx.buffers;
	break_with(rig, &rig->g.tx, &buf, 1, "a frame to send of 11 bytes");
}

static void a_receive_buffer_shorter_than_the_header_breaks_the_device(void **state)
{
	struct rig *rig = *state;
	struct driver_buf buf = { .len = 11, .flags = VRING_DESC_F_WRITE };

	guest__start(&rig->g, MRG, 0, 1536);
	buf.gpa = rig->g.rx.buffers;
	break_with(rig, &rig->g.rx, &buf, 1, "a receive buffer of 11 bytes");
}

static void a_receive_buffer_that_is_not_writable_breaks_the_device(void **state)
{
	struct rig *rig = *state;
	struct driver_buf buf = { .len = 2000 };

	guest__start(&rig->g, MRG, 0, 1536);
	buf.gpa = rig->g.rx.buffers;
	break_with(rig, &rig->g.rx, &buf, 1, "a receive buffer of 0 bytes");
}

static void a_command_without_status_breaks_the_device(void **state)
{
	struct rig *rig = *state;
	struct driver_buf buf = { .len = 2 };

	guest__start(&rig->g, CTRL, 0, 1536);
	buf.gpa = rig->g.ctrl.buffers;
	break_with(rig, &rig->g.ctrl, &buf, 1, "without header or status");
}

static void frames_of_impossible_length_are_dropped(void **state)
{
	struct rig *rig = *state;
	struct driver_buf buf = { 0 };
	uint8_t frame[60] = { 7 };

	guest__start(&rig->g, MRG, 0, 1536);
	guest__send(&rig->g, frame, 13);
	assert_int_equal(guest__sent(&rig->g), 1);
	buf.gpa = 0x80000;
	buf.len = 12 + NET_MAX_FRAME + 1;
	dq__add(&rig->g.tx, 40, &buf, 1);
	driver__notify(&rig->g.tx);
	driver__run(&rig->g.d);
	assert_int_equal(guest__sent(&rig->g), 1);
	assert_int_equal(peer_gets(rig), 0);
	guest__send(&rig->g, frame, 60);
	assert_int_equal(peer_gets(rig), 60);
	assert_false(driver__needs_reset(&rig->g.d));
}

static void headers_full_of_lies_mean_nothing_to_a_peer_without_headers(void **state)
{
	struct rig *rig = *state;
	uint8_t header[12], frame[60] = { 7 };

	memset(header, 0xff, sizeof(header));
	guest__start(&rig->g, MRG, 0, 1536);
	guest__send_as(&rig->g, header, frame, sizeof(frame));
	assert_int_equal(peer_gets(rig), 60);
	assert_memory_equal(rig->frame, frame, 60);
}

static void a_broken_device_works_again_after_a_reset(void **state)
{
	struct rig *rig = *state;
	struct driver_buf buf = { .len = 3 };

	guest__start(&rig->g, MRG, 8, 1536);
	buf.gpa = rig->g.tx.buffers;
	break_with(rig, &rig->g.tx, &buf, 1, "3 bytes");
	peer_sends(rig, 500, 1);
	driver__run(&rig->g.d);
	guest__start(&rig->g, MRG, 8, 1536);
	guest_gets(rig, 500, 1);
}

static void a_ring_full_of_tiny_buffers_holds_no_large_frame_but_small_ones(void **state)
{
	struct rig *rig = *state;

	guest__start(&rig->g, MRG, 64, 16);
	peer_sends(rig, 5000, 1); /* 64 buffers of 16 bytes are all there can be */
	peer_sends(rig, 60, 2);
	guest_gets(rig, 60, 2);
	assert_int_equal(rig->header.num_buffers, 5);
}

#define rule(test)     cmocka_unit_test_setup_teardown(test, setup, teardown)
#define threaded(test) cmocka_unit_test_setup_teardown(test, setup_threaded, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rule(the_configuration_says_what_there_is),
		rule(a_peer_without_headers_has_no_offloads),
		rule(features_that_need_others_are_refused_alone),
		rule(frames_go_out_as_they_are),
		rule(frames_come_in_as_they_are),
		rule(a_burst_arrives_whole_and_in_order),
		rule(the_largest_frame_fills_many_buffers),
		rule(a_frame_waits_for_the_buffers_it_lacks),
		rule(without_buffers_frames_stay_with_the_peer),
		rule(without_merging_a_frame_is_one_buffer_or_lost),
		rule(a_busy_peer_holds_frames_back_but_loses_none),
		rule(a_frame_that_goes_out_in_parts_arrives_whole),
		rule(what_has_been_read_ahead_is_delivered_without_being_asked_again),
		rule(nobody_is_notified_for_nothing),
		rule(indirect_and_scattered_buffers_serve_as_well),
		rule(after_a_reset_it_starts_anew),
		rule(a_queue_can_be_reset_by_itself),
		rule(an_old_driver_has_a_header_of_ten_bytes),
		threaded(a_thread_of_its_own_serves_both_directions),
		threaded(resets_in_the_midst_of_traffic_do_no_harm),
		threaded(a_peer_that_goes_while_the_device_is_reset_does_no_harm),
		rule(a_peer_that_goes_takes_the_link_down_with_one_line),
		rule(a_peer_that_loses_its_place_is_cut_off),
		rule(receive_modes_are_acknowledged),
		rule(the_driver_sets_its_address),
		rule(tables_of_addresses_must_be_as_long_as_they_say),
		rule(what_was_not_negotiated_is_refused),
		rule(a_frame_shorter_than_its_header_breaks_the_device),
		rule(a_receive_buffer_shorter_than_the_header_breaks_the_device),
		rule(a_receive_buffer_that_is_not_writable_breaks_the_device),
		rule(a_command_without_status_breaks_the_device),
		rule(frames_of_impossible_length_are_dropped),
		rule(headers_full_of_lies_mean_nothing_to_a_peer_without_headers),
		rule(a_broken_device_works_again_after_a_reset),
		rule(a_ring_full_of_tiny_buffers_holds_no_large_frame_but_small_ones),
	};

	return cmocka_run_group_tests_name("virtio-net", tests, NULL, NULL);
}
