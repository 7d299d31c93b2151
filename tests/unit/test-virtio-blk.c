// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virtio-blk as section 5.2 has it: what a driver asks for is done, what it must not ask for gets
 * the status that the specification says, and nothing it writes into a request does harm.
 */
#include "virtio-driver.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <sys/stat.h>

#include "kvm/virtio-blk.h"

#define SIZE	(1u << 20)
#define SECTORS (SIZE / DISK_SECTOR)
#define W	VRING_DESC_F_WRITE

/* Where a queue's buffers are. */
#define HEADER(q) ((q)->buffers)
#define STATUS(q) ((q)->buffers + 0x80)
#define DATA(q)	  ((q)->buffers + 0x1000)

struct rig {
	struct driver d;
	struct driver_queue q[2];
	struct disk_spec spec;
	char path[64];
	char *arg;
	uint64_t features;
};

static const struct virtio_blk_limits limits = { .sectors = SECTORS };

/* --- the parser ------------------------------------------------------------------------------ */

static uint8_t parse(uint32_t type, uint64_t sector, const void *out, uint64_t out_len,
		     uint64_t in_len, struct virtio_blk_request *req)
{
	struct virtio_blk_outhdr header = { .type = type, .sector = sector };

	return virtio_blk__parse(&limits, (uint8_t *)&header, out, out_len, in_len, req);
}

static void a_transfer_must_be_whole_sectors_on_the_disk(void **state)
{
	struct virtio_blk_request req;

	assert_int_equal(parse(VIRTIO_BLK_T_IN, 8, NULL, 0, 4096, &req), VIRTIO_BLK_S_OK);
	assert_int_equal(req.op, DISK_READ);
	assert_int_equal(req.segment[0].offset, 4096);
	assert_int_equal(req.segment[0].len, 4096);
	assert_int_equal(parse(VIRTIO_BLK_T_OUT, SECTORS - 1, NULL, 512, 0, &req), VIRTIO_BLK_S_OK);
	assert_int_equal(req.op, DISK_WRITE);

	assert_int_equal(parse(VIRTIO_BLK_T_IN, 0, NULL, 0, 0, &req), VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_IN, 0, NULL, 0, 511, &req), VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_IN, SECTORS, NULL, 0, 512, &req), VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_OUT, SECTORS - 1, NULL, 1024, 0, &req),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_OUT, UINT64_MAX, NULL, 512, 0, &req),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_OUT, UINT64_MAX / 512 + 1, NULL, 512, 0, &req),
			 VIRTIO_BLK_S_IOERR);
}

static void a_read_only_disk_takes_no_change(void **state)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_WRITE_ZEROES };
	struct virtio_blk_limits ro = { .sectors = SECTORS, .read_only = true };
	struct virtio_blk_request req;
	uint8_t out[512] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct virtio_blk_outhdr header = { .type = types[i] };

		assert_int_equal(virtio_blk__parse(&ro, (uint8_t *)&header, out, i ? 16 : 512, 0,
						   &req),
				 VIRTIO_BLK_S_IOERR);
	}
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t types[] = {
		2, 3, 5, 9, 14, VIRTIO_BLK_T_BARRIER, 0xffffffff, VIRTIO_BLK_T_SECURE_ERASE,
	};
	struct virtio_blk_request req;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(parse(types[i], 0, NULL, 512, 512, &req), VIRTIO_BLK_S_UNSUPP);
}

static struct virtio_blk_discard_write_zeroes range(uint64_t sector, uint32_t nr, uint32_t flags)
{
	return (struct virtio_blk_discard_write_zeroes){ sector, nr, flags };
}

static uint8_t parse_range(uint32_t type, uint64_t sector, uint32_t nr, uint32_t flags,
			   struct virtio_blk_request *req)
{
	struct virtio_blk_discard_write_zeroes segment = range(sector, nr, flags);

	return parse(type, 0, &segment, sizeof(segment), 0, req);
}

static void flags_of_a_range_are_checked(void **state)
{
	struct virtio_blk_request req;

	assert_int_equal(parse_range(VIRTIO_BLK_T_DISCARD, 0, 8, 0, &req), VIRTIO_BLK_S_OK);
	assert_int_equal(parse_range(VIRTIO_BLK_T_DISCARD, 0, 8, 1, &req), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(parse_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0, &req), VIRTIO_BLK_S_OK);
	assert_false(req.segment[0].unmap);
	assert_int_equal(parse_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 1, &req), VIRTIO_BLK_S_OK);
	assert_true(req.segment[0].unmap);
	assert_int_equal(parse_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2, &req),
			 VIRTIO_BLK_S_UNSUPP);
}

static void ranges_must_be_on_the_disk_and_not_too_many(void **state)
{
	struct virtio_blk_discard_write_zeroes many[VIRTIO_BLK_MAX_SEGMENTS + 1];
	struct virtio_blk_request req;

	assert_int_equal(parse_range(VIRTIO_BLK_T_DISCARD, SECTORS - 8, 9, 0, &req),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_range(VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0, &req),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, VIRTIO_BLK_MAX_SECTORS + 1, 0,
				     &req),
			 VIRTIO_BLK_S_IOERR);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = range(i * 8, i == 1 ? 0 : 8, 0);
	assert_int_equal(parse(VIRTIO_BLK_T_DISCARD, 0, many, sizeof(many), 0, &req),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_DISCARD, 0, many, sizeof(many) - 16, 0, &req),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(req.nr, VIRTIO_BLK_MAX_SEGMENTS - 1); /* one was empty */
	assert_int_equal(parse(VIRTIO_BLK_T_DISCARD, 0, many, 17, 0, &req), VIRTIO_BLK_S_IOERR);
	assert_int_equal(parse(VIRTIO_BLK_T_DISCARD, 0, many, 0, 0, &req), VIRTIO_BLK_S_IOERR);
}

/* --- the device ------------------------------------------------------------------------------ */

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	int fd;

	snprintf(rig->path, sizeof(rig->path), "/tmp/lkvm-blk-XXXXXX");
	fd = mkstemp(rig->path);
	if (fd < 0 || ftruncate(fd, SIZE))
		return -1;
	close(fd);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	if (rig->d.half[0])
		driver__destroy(&rig->d);
	disk_spec__free(&rig->spec);
	unlink(rig->path);
	free(rig);
	return 0;
}

static void bring_up(struct rig *rig, const char *options, unsigned int queues, uint64_t without)
{
	struct virtio_blk_setup blk = { .spec = &rig->spec, .queues = queues, .packed = true };
	char arg[256];

	snprintf(arg, sizeof(arg), "%s%s", rig->path, options);
	assert_int_equal(disk_spec__parse(&rig->spec, arg), 0);
	driver__init(&rig->d);
	driver__plug(&rig->d, virtio_blk__create(&rig->d.board.host, &blk));
	rig->features = driver__offered(&rig->d) & ~without;
	assert_true(driver__negotiate(&rig->d, rig->features));
	for (unsigned int i = 0; i < queues; i++) {
		dq__init(&rig->q[i], &rig->d, i, 16,
			 rig->features & VIRTIO_BIT(VIRTIO_F_RING_PACKED),
			 rig->features & VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
		driver__enable_queue(&rig->q[i]);
	}
	driver__ok(&rig->d);
}

static void set_header(struct driver_queue *q, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header = driver__at(q->d, HEADER(q));

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*(uint8_t *)driver__at(q->d, STATUS(q)) = 0xee;
}

/* A request with one data buffer, or none. Return: its status. */
static uint8_t do_request(struct driver_queue *q, uint32_t type, uint64_t sector, uint32_t len,
			  uint16_t flags)
{
	struct driver_buf bufs[] = {
		{ HEADER(q), 16, 0 },
		{ DATA(q), len, flags },
		{ STATUS(q), 1, W },
	};
	uint32_t id, written;

	set_header(q, type, sector);
	if (len) {
		dq__add(q, 0, bufs, 3);
	} else {
		bufs[1] = bufs[2];
		dq__add(q, 0, bufs, 2);
	}
	driver__notify(q);
	assert_true(dq__wait(q, &id, &written));
	assert_int_equal(id, 0);
	assert_int_equal(written, 1 + (flags & W ? len : 0));
	return *(uint8_t *)driver__at(q->d, STATUS(q));
}

static void file_has(const struct rig *rig, off_t offset, uint8_t byte, size_t len)
{
	uint8_t *buf = malloc(len);
	int fd = open(rig->path, O_RDONLY);

	assert_int_equal(pread(fd, buf, len, offset), (ssize_t)len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], byte);
	close(fd);
	free(buf);
}

static void write_and_read(struct rig *rig)
{
	struct driver_queue *q = &rig->q[0];

	memset(driver__at(q->d, DATA(q)), 0x5a, 4096);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_OUT, 8, 4096, 0), VIRTIO_BLK_S_OK);
	file_has(rig, 4096, 0x5a, 4096);
	memset(driver__at(q->d, DATA(q)), 0, 4096);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_IN, 8, 4096, W), VIRTIO_BLK_S_OK);
	assert_int_equal(*(uint8_t *)driver__at(q->d, DATA(q) + 4095), 0x5a);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_FLUSH, 0, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_IN, SECTORS, 512, W), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_request(q, 77, 0, 512, W), VIRTIO_BLK_S_UNSUPP);
}

static void what_is_written_is_read_by_a_packed_ring(void **state)
{
	bring_up(*state, "", 1, 0);
	write_and_read(*state);
}

static void what_is_written_is_read_by_a_split_ring(void **state)
{
	bring_up(*state, "", 1, VIRTIO_BIT(VIRTIO_F_RING_PACKED));
	write_and_read(*state);
}

static void ranges_are_zeroed_and_given_back(void **state)
{
	struct rig *rig = *state;
	struct driver_queue *q = &rig->q[0];
	struct virtio_blk_discard_write_zeroes *ranges;

	bring_up(rig, "", 1, 0);
	memset(driver__at(q->d, DATA(q)), 0x11, 8192);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_OUT, 0, 8192, 0), VIRTIO_BLK_S_OK);
	ranges = driver__at(q->d, DATA(q));
	ranges[0] = range(1, 1, 0);
	ranges[1] = range(3, 2, 1);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, 0), VIRTIO_BLK_S_OK);
	file_has(rig, 0, 0x11, 512);
	file_has(rig, 512, 0, 512);
	file_has(rig, 1024, 0x11, 512);
	file_has(rig, 1536, 0, 1024);
	file_has(rig, 2560, 0x11, 512);
	if (!(rig->features & VIRTIO_BIT(VIRTIO_BLK_F_DISCARD))) {
		print_message("the file system of /tmp cannot punch holes\n");
		skip();
	}
	ranges[0] = range(8, 8, 0);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_DISCARD, 0, 16, 0), VIRTIO_BLK_S_OK);
	file_has(rig, 4096, 0, 4096);
}

static void the_serial_number_is_told(void **state)
{
	struct rig *rig = *state;
	struct driver_queue *q = &rig->q[0];

	bring_up(rig, ",serial=ABC-1", 1, 0);
	memset(driver__at(q->d, DATA(q)), 0xff, 32);
	assert_int_equal(do_request(q, VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, W),
			 VIRTIO_BLK_S_OK);
	assert_memory_equal(driver__at(q->d, DATA(q)), "ABC-1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff",
			    21);
}

static uint32_t config32(struct rig *rig, size_t offset)
{
	return driver__reg(&rig->d, VIRTIO_MMIO_CONFIG + (uint32_t)offset);
}

#define FIELD(name) offsetof(struct virtio_blk_config, name)

static void the_configuration_describes_the_disk(void **state)
{
	struct rig *rig = *state;

	bring_up(rig, "", 2, 0);
	assert_int_equal(config32(rig, FIELD(capacity)), SECTORS);
	assert_int_equal(config32(rig, FIELD(blk_size)), 512);
	assert_int_equal(config32(rig, FIELD(max_discard_seg)), VIRTIO_BLK_MAX_SEGMENTS);
	assert_int_equal(board__load(&rig->d.board,
				     DRIVER_MMIO + VIRTIO_MMIO_CONFIG + FIELD(num_queues), 2),
			 2);
	assert_true(rig->features & VIRTIO_BIT(VIRTIO_BLK_F_MQ));
	assert_false(rig->features & VIRTIO_BIT(VIRTIO_BLK_F_RO));
}

static void a_grown_disk_is_announced(void **state)
{
	struct rig *rig = *state;
	struct virtio_blk_setup blk = { .spec = &rig->spec, .packed = true };
	struct virtio_device *dev;

	assert_int_equal(disk_spec__parse(&rig->spec, rig->path), 0);
	driver__init(&rig->d);
	dev = virtio_blk__create(&rig->d.board.host, &blk);
	driver__plug(&rig->d, dev);
	assert_true(driver__negotiate(&rig->d, driver__offered(&rig->d)));
	dq__init(&rig->q[0], &rig->d, 0, 16, true, true);
	driver__enable_queue(&rig->q[0]);
	driver__ok(&rig->d);

	assert_int_equal(do_request(&rig->q[0], VIRTIO_BLK_T_IN, SECTORS, 512, W),
			 VIRTIO_BLK_S_IOERR);
	driver__ack(&rig->d);
	assert_int_equal(truncate(rig->path, 2 * SIZE), 0);
	assert_int_equal(virtio_blk__refresh(dev), 0);
	assert_true(driver__ack(&rig->d) & VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(config32(rig, FIELD(capacity)), 2 * SECTORS);
	assert_int_equal(do_request(&rig->q[0], VIRTIO_BLK_T_IN, SECTORS, 512, W), VIRTIO_BLK_S_OK);
}

static void the_write_cache_can_be_switched(void **state)
{
	struct rig *rig = *state;

	bring_up(rig, "", 1, 0);
	assert_int_equal(board__load(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 32, 1), 1);
	board__store(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 32, 1, 0);
	assert_int_equal(board__load(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 32, 1), 0);
	write_and_read(rig);
	/* Nothing else can be written, and a reset switches it on again. */
	board__store(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG, 4, 0xffffffff);
	assert_int_equal(config32(rig, FIELD(capacity)), SECTORS);
	driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(board__load(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 32, 1), 1);
}

static void expect_needs_reset(struct rig *rig, const struct driver_buf *bufs, unsigned int nr)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	set_header(&rig->q[0], VIRTIO_BLK_T_IN, 0);
	dq__add(&rig->q[0], 0, bufs, nr);
	driver__notify(&rig->q[0]);
	for (int i = 0; i < 2000 && !driver__needs_reset(&rig->d); i++)
		nanosleep(&moment, NULL);
	assert_true(driver__needs_reset(&rig->d));
}

static void a_request_without_a_status_breaks_the_device(void **state)
{
	struct rig *rig = *state;

	bring_up(rig, "", 1, 0);
	expect_needs_reset(rig, &(struct driver_buf){ HEADER(&rig->q[0]), 16, 0 }, 1);
}

static void a_header_cut_short_breaks_the_device(void **state)
{
	struct rig *rig = *state;
	struct driver_queue *q = &rig->q[0];
	struct driver_buf bufs[] = { { HEADER(q), 15, 0 }, { STATUS(q), 1, W } };

	bring_up(rig, "", 1, 0);
	bufs[0].gpa = HEADER(q);
	bufs[1].gpa = STATUS(q);
	expect_needs_reset(rig, bufs, 2);
}

static void header_and_data_may_be_cut_anywhere(void **state)
{
	struct rig *rig = *state;
	struct driver_queue *q = &rig->q[0];
	uint32_t id, written;

	bring_up(rig, "", 1, 0);
	memset(driver__at(q->d, HEADER(q) + 16), 0x77, 0x60);
	set_header(q, VIRTIO_BLK_T_OUT, 0);
	memset(driver__at(q->d, DATA(q)), 0x77, 512);
	struct driver_buf bufs[] = {
		{ HEADER(q), 5, 0 },	 { HEADER(q) + 5, 11 + 12, 0 }, { DATA(q), 499, 0 },
		{ DATA(q) + 499, 1, 0 }, { STATUS(q), 1, W },
	};

	dq__add(q, 0, bufs, ARRAY_SIZE(bufs));
	driver__notify(q);
	assert_true(dq__wait(q, &id, &written));
	assert_int_equal(*(uint8_t *)driver__at(q->d, STATUS(q)), VIRTIO_BLK_S_OK);
	file_has(rig, 0, 0x77, 512);
	file_has(rig, 512, 0, 512);
}

static void two_queues_work_at_once(void **state)
{
	struct rig *rig = *state;

	bring_up(rig, "", 2, 0);
	for (int round = 0; round < 50; round++) {
		for (unsigned int i = 0; i < 2; i++) {
			struct driver_queue *q = &rig->q[i];
			struct driver_buf bufs[] = {
				{ HEADER(q), 16, 0 },
				{ DATA(q), 4096, i ? W : 0 },
				{ STATUS(q), 1, W },
			};

			set_header(q, i ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 0);
			dq__add(q, 0, bufs, 3);
		}
		driver__notify(&rig->q[1]);
		driver__notify(&rig->q[0]);
		for (unsigned int i = 0; i < 2; i++) {
			uint32_t id, written;

			assert_true(dq__wait(&rig->q[i], &id, &written));
			assert_int_equal(*(uint8_t *)driver__at(&rig->d, STATUS(&rig->q[i])),
					 VIRTIO_BLK_S_OK);
		}
	}
}

/* Requests are under way when the driver resets: none of them touches its memory afterwards. */
static void a_reset_waits_for_requests_in_flight(void **state)
{
	struct rig *rig = *state;
	struct driver_queue *q = &rig->q[0];

	bring_up(rig, ",engine=threads", 1, 0);
	for (int round = 0; round < 20; round++) {
		for (uint16_t i = 0; i < 4; i++) {
			struct driver_buf bufs[] = {
				{ HEADER(q), 16, 0 },
				{ DATA(q) + i * 0x1000u, 4096, 0 },
				{ STATUS(q), 1, W },
			};

			set_header(q, VIRTIO_BLK_T_OUT, 0);
			dq__add(q, (uint16_t)(i * 3), bufs, 3);
		}
		driver__notify(q);
		driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
		*(uint8_t *)driver__at(&rig->d, STATUS(q)) = 0xee;
		usleep(1000);
		assert_int_equal(*(uint8_t *)driver__at(&rig->d, STATUS(q)), 0xee);
		assert_true(driver__negotiate(&rig->d, rig->features));
		dq__init(q, &rig->d, 0, 16, true, true);
		driver__enable_queue(q);
		driver__ok(&rig->d);
	}
	write_and_read(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transfer_must_be_whole_sectors_on_the_disk),
		cmocka_unit_test(a_read_only_disk_takes_no_change),
		cmocka_unit_test(unknown_types_are_unsupported),
		cmocka_unit_test(flags_of_a_range_are_checked),
		cmocka_unit_test(ranges_must_be_on_the_disk_and_not_too_many),
		TEST(what_is_written_is_read_by_a_packed_ring),
		TEST(what_is_written_is_read_by_a_split_ring),
		TEST(ranges_are_zeroed_and_given_back),
		TEST(the_serial_number_is_told),
		TEST(the_configuration_describes_the_disk),
		TEST(a_grown_disk_is_announced),
		TEST(the_write_cache_can_be_switched),
		TEST(a_request_without_a_status_breaks_the_device),
		TEST(a_header_cut_short_breaks_the_device),
		TEST(header_and_data_may_be_cut_anywhere),
		TEST(two_queues_work_at_once),
		TEST(a_reset_waits_for_requests_in_flight),
	};

	return cmocka_run_group_tests_name("virtio-blk", tests, NULL, NULL);
}
