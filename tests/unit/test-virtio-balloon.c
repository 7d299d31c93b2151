// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory balloon against a driver, on memory that is really given back.
 *
 * WRAP: sysconf
 */
#include "virtio-driver.h"

#include <linux/virtio_balloon.h>
#include <sys/mman.h>

#include "kvm/json.h"
#include "kvm/virtio-balloon.h"

#define PAGE	    4096u
#define BIG_PAGE    65536u
#define SCRATCH	    0x180000ull /* guest memory that no queue uses */
#define FEATURES(x) (VIRTIO_BIT(VIRTIO_F_VERSION_1) | (x))
#define STATS	    VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ)
#define REPORTING   VIRTIO_BIT(VIRTIO_BALLOON_F_REPORTING)
#define POISON	    VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON)
#define TELL	    VIRTIO_BIT(VIRTIO_BALLOON_F_MUST_TELL_HOST)

static long page_size = PAGE;

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long __wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE ? page_size : __real_sysconf(name);
}

struct rig {
	struct driver d;
	struct virtio_device *dev;
	struct driver_queue q[5];
	unsigned int answers;
	bool refused;
	struct virtio_balloon_stats stats;
};

static void bring_up(struct rig *rig, uint64_t features)
{
	assert_true(driver__negotiate(&rig->d, FEATURES(features)));
	for (unsigned int i = 0; i < 5; i++) {
		dq__init(&rig->q[i], &rig->d, i, 8, false, false);
		driver__enable_queue(&rig->q[i]);
	}
	driver__ok(&rig->d);
	driver__run(&rig->d);
}

static struct rig *rig_new(uint64_t features)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	driver__init(&rig->d);
	rig->dev = virtio_balloon__create(&rig->d.board.host, 0, true);
	assert_non_null(rig->dev);
	rig->dev->own_thread = false;
	driver__plug(&rig->d, rig->dev);
	bring_up(rig, features);
	return rig;
}

static void rig_free(struct rig *rig)
{
	driver__destroy(&rig->d);
	free(rig);
}

static void fill(struct rig *rig, uint64_t gpa, uint64_t len)
{
	memset(driver__at(&rig->d, gpa), 0xaa, len);
}

/* Whether all of a range reads as one byte. */
static bool reads(struct rig *rig, uint64_t gpa, uint64_t len, uint8_t value)
{
	const uint8_t *at = driver__at(&rig->d, gpa);

	for (uint64_t i = 0; i < len; i++) {
		if (at[i] != value)
			return false;
	}
	return true;
}

/* Send a list of pages; whether it came back. */
static bool send_list(struct rig *rig, unsigned int index, const uint32_t *pfns, uint32_t bytes)
{
	struct driver_queue *q = &rig->q[index];
	struct driver_buf buf = { q->buffers, bytes, 0 };
	uint32_t id, len;

	if (pfns)
		memcpy(driver__at(&rig->d, q->buffers), pfns, bytes);
	dq__add(q, 0, &buf, 1);
	driver__notify(q);
	driver__run(&rig->d);
	return dq__get(q, &id, &len);
}

static bool send_page(struct rig *rig, unsigned int index, uint64_t gpa)
{
	uint32_t pfn = (uint32_t)(gpa / PAGE);

	return send_list(rig, index, &pfn, sizeof(pfn));
}

static bool report(struct rig *rig, unsigned int index, uint64_t gpa, uint32_t bytes)
{
	struct driver_queue *q = &rig->q[index];
	struct driver_buf buf = { gpa, bytes, VRING_DESC_F_WRITE };
	uint32_t id, len;

	dq__add(q, 0, &buf, 1);
	driver__notify(q);
	driver__run(&rig->d);
	return dq__get(q, &id, &len);
}

static void on_stats(void *ctx, const struct virtio_balloon_stats *stats)
{
	struct rig *rig = ctx;

	rig->answers++;
	rig->refused = !stats;
	if (stats)
		rig->stats = *stats;
}

static void add_stats(struct rig *rig, const struct virtio_balloon_stat *stats, unsigned int nr)
{
	struct driver_queue *q = &rig->q[2];
	struct driver_buf buf = { q->buffers, (uint32_t)(nr * sizeof(*stats)), 0 };

	memcpy(driver__at(&rig->d, q->buffers), stats, nr * sizeof(*stats));
	dq__add(q, 0, &buf, 1);
	driver__notify(q);
	driver__run(&rig->d);
}

static void inflating_gives_back_the_pages_named_and_no_others(void **state)
{
	struct rig *rig = rig_new(0);
	uint32_t pfns[] = { SCRATCH / PAGE, SCRATCH / PAGE + 1, SCRATCH / PAGE + 1,
			    SCRATCH / PAGE + 4, SCRATCH / PAGE + 3 };

	fill(rig, SCRATCH, 6 * PAGE);
	assert_true(send_list(rig, 0, pfns, sizeof(pfns)));
	assert_true(reads(rig, SCRATCH, 2 * PAGE, 0));
	assert_true(reads(rig, SCRATCH + 2 * PAGE, PAGE, 0xaa));
	assert_true(reads(rig, SCRATCH + 3 * PAGE, 2 * PAGE, 0));
	assert_true(reads(rig, SCRATCH + 5 * PAGE, PAGE, 0xaa));
	rig_free(rig);
}

static void deflating_leaves_memory_alone(void **state)
{
	struct rig *rig = rig_new(0);

	fill(rig, SCRATCH, PAGE);
	assert_true(send_page(rig, 1, SCRATCH));
	assert_true(reads(rig, SCRATCH, PAGE, 0xaa));
	rig_free(rig);
}

static void a_page_outside_memory_needs_a_reset(void **state)
{
	static const uint32_t bad[] = { DRIVER_RAM / PAGE, UINT32_MAX, 0x80000000 };

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
		struct rig *rig = rig_new(0);

		assert_false(send_list(rig, i % 2, &bad[i / 2], sizeof(bad[0])));
		assert_true(driver__needs_reset(&rig->d));
		bring_up(rig, 0);
		assert_true(send_page(rig, 0, SCRATCH));
		rig_free(rig);
	}
}

static void a_list_cut_short_or_too_long_needs_a_reset(void **state)
{
	static const uint32_t lengths[] = { 3, 4097, 0x4000 * 4 + 4 };

	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct rig *rig = rig_new(0);

		assert_false(send_list(rig, 0, NULL, lengths[i]));
		assert_true(driver__needs_reset(&rig->d));
		rig_free(rig);
	}
}

static void forbidden_discarding_takes_nothing(void **state)
{
	struct rig *rig = rig_new(REPORTING);

	fill(rig, SCRATCH, PAGE);
	virtio_balloon__allow_discard(rig->dev, false);
	virtio_balloon__allow_discard(rig->dev, false);
	virtio_balloon__allow_discard(rig->dev, true);
	assert_true(send_page(rig, 0, SCRATCH));
	assert_true(report(rig, 3, SCRATCH, PAGE));
	assert_true(reads(rig, SCRATCH, PAGE, 0xaa));
	virtio_balloon__allow_discard(rig->dev, true);
	assert_true(send_page(rig, 0, SCRATCH));
	assert_true(reads(rig, SCRATCH, PAGE, 0));
	rig_free(rig);
}

/* The first address from SCRATCH on that is at the start of a large page of the host. */
static uint64_t big_page(struct rig *rig)
{
	uintptr_t at = (uintptr_t)driver__at(&rig->d, SCRATCH);

	return SCRATCH + (-at & (BIG_PAGE - 1));
}

static struct rig *big_rig(uint64_t features)
{
	struct rig *rig;

	page_size = BIG_PAGE;
	rig = rig_new(features);
	page_size = PAGE;
	return rig;
}

static void a_large_page_goes_when_all_of_its_parts_are_given(void **state)
{
	struct rig *rig = big_rig(TELL);
	uint64_t gpa = big_page(rig);

	fill(rig, gpa, BIG_PAGE);
	for (unsigned int i = 0; i < 15; i++)
		assert_true(send_page(rig, 0, gpa + i * PAGE));
	assert_true(send_page(rig, 0, gpa)); /* once more: it counts once */
	assert_true(reads(rig, gpa, BIG_PAGE, 0xaa));
	assert_true(send_page(rig, 1, gpa)); /* taken back */
	assert_true(send_page(rig, 1, gpa));
	assert_true(send_page(rig, 0, gpa + 15 * PAGE));
	assert_true(reads(rig, gpa, BIG_PAGE, 0xaa));
	assert_true(send_page(rig, 0, gpa));
	assert_true(reads(rig, gpa, BIG_PAGE, 0));
	rig_free(rig);
}

static void a_reset_forgets_which_parts_were_given(void **state)
{
	struct rig *rig = big_rig(TELL);
	uint64_t gpa = big_page(rig);

	fill(rig, gpa, BIG_PAGE);
	for (unsigned int i = 0; i < 15; i++)
		assert_true(send_page(rig, 0, gpa + i * PAGE));
	bring_up(rig, TELL);
	assert_true(send_page(rig, 0, gpa + 15 * PAGE));
	assert_true(reads(rig, gpa, BIG_PAGE, 0xaa));
	rig_free(rig);
}

static void no_large_page_goes_if_the_driver_takes_without_telling(void **state)
{
	struct rig *rig = big_rig(0);
	uint64_t gpa = big_page(rig);

	fill(rig, gpa, BIG_PAGE);
	for (unsigned int i = 0; i < 16; i++)
		assert_true(send_page(rig, 0, gpa + i * PAGE));
	assert_true(reads(rig, gpa, BIG_PAGE, 0xaa));
	rig_free(rig);
}

static void reported_pages_go_whole_ones_only(void **state)
{
	struct rig *rig = rig_new(REPORTING | STATS);

	fill(rig, SCRATCH, 4 * PAGE);
	assert_true(report(rig, 4, SCRATCH + 1, 3 * PAGE));
	assert_true(reads(rig, SCRATCH, PAGE, 0xaa));
	assert_true(reads(rig, SCRATCH + PAGE, 2 * PAGE, 0));
	assert_true(reads(rig, SCRATCH + 3 * PAGE, PAGE, 0xaa));
	assert_true(report(rig, 4, SCRATCH + 1, 8)); /* not a page at all */
	assert_true(reads(rig, SCRATCH, PAGE, 0xaa));
	rig_free(rig);
}

static void reporting_is_served_whatever_number_its_queue_has(void **state)
{
	struct rig *rig = rig_new(REPORTING);

	for (unsigned int i = 2; i <= 4; i++) {
		fill(rig, SCRATCH, PAGE);
		assert_true(report(rig, i, SCRATCH, PAGE));
		assert_true(reads(rig, SCRATCH, PAGE, 0));
	}
	rig_free(rig);
}

static void queues_without_their_feature_are_left_alone(void **state)
{
	struct rig *rig = rig_new(0);

	fill(rig, SCRATCH, PAGE);
	for (unsigned int i = 2; i <= 4; i++)
		assert_false(report(rig, i, SCRATCH, PAGE));
	assert_true(reads(rig, SCRATCH, PAGE, 0xaa));
	assert_false(driver__needs_reset(&rig->d));
	rig_free(rig);
}

static void reported_pages_stay_if_the_guest_poisons_them(void **state)
{
	struct rig *rig = rig_new(REPORTING | POISON);

	board__store(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 12, 4, 0xaaaaaaaa);
	fill(rig, SCRATCH, PAGE);
	assert_true(report(rig, 4, SCRATCH, PAGE));
	assert_true(reads(rig, SCRATCH, PAGE, 0xaa));
	board__store(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 12, 4, 0);
	assert_true(report(rig, 4, SCRATCH, PAGE));
	assert_true(reads(rig, SCRATCH, PAGE, 0));
	rig_free(rig);
}

static void the_target_reaches_the_driver_and_actual_comes_back(void **state)
{
	struct rig *rig = rig_new(0);
	uint32_t generation = driver__reg(&rig->d, VIRTIO_MMIO_CONFIG_GENERATION);

	assert_int_equal(virtio_balloon__set_target(rig->dev, 0x100fff), 0);
	assert_int_equal(virtio_balloon__target(rig->dev), 0x100000);
	assert_int_equal(driver__reg(&rig->d, VIRTIO_MMIO_CONFIG), 0x100);
	assert_int_not_equal(driver__reg(&rig->d, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(driver__ack(&rig->d), VIRTIO_MMIO_INT_CONFIG);

	board__store(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG, 4, 7); /* not the driver's */
	board__store(&rig->d.board, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + 4, 4, 0x80);
	assert_int_equal(virtio_balloon__actual(rig->dev), 0x80 * PAGE);
	assert_int_equal(virtio_balloon__target(rig->dev), 0x100000);

	assert_int_equal(virtio_balloon__set_target(rig->dev, DRIVER_RAM + 1), -EINVAL);
	assert_int_equal(virtio_balloon__set_target(rig->dev, UINT64_MAX), -EINVAL);
	assert_int_equal(virtio_balloon__target(rig->dev), 0x100000);

	driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(virtio_balloon__actual(rig->dev), 0);
	assert_int_equal(virtio_balloon__target(rig->dev), 0x100000);
	rig_free(rig);
}

static void statistics_come_when_they_are_asked_for(void **state)
{
	struct rig *rig = rig_new(STATS);
	struct virtio_balloon_stat stats[] = {
		{ .tag = VIRTIO_BALLOON_S_MEMFREE, .val = 1234 },
		{ .tag = VIRTIO_BALLOON_S_SWAP_IN, .val = UINT64_MAX }, /* not known */
		{ .tag = 999, .val = 1 },
		{ .tag = 15, .val = 99 },
	};
	uint32_t id, len;

	assert_int_equal(virtio_balloon__request_stats(rig->dev, on_stats, rig), -EBUSY);
	add_stats(rig, stats, 0);
	assert_int_equal(rig->answers, 0);
	add_stats(rig, stats, ARRAY_SIZE(stats));
	/* an empty buffer is one all the same: the first of the two was it */
	assert_true(driver__needs_reset(&rig->d));

	bring_up(rig, STATS);
	add_stats(rig, stats, ARRAY_SIZE(stats));
	assert_int_equal(rig->answers, 0);
	assert_int_equal(virtio_balloon__request_stats(rig->dev, on_stats, rig), 0);
	assert_true(dq__get(&rig->q[2], &id, &len));
	assert_int_equal(virtio_balloon__request_stats(rig->dev, on_stats, rig), -EBUSY);
	stats[0].val = 5678;
	add_stats(rig, stats, ARRAY_SIZE(stats));
	assert_int_equal(rig->answers, 1);
	assert_int_equal(rig->stats.valid, 1u << VIRTIO_BALLOON_S_MEMFREE | 1u << 15);
	assert_int_equal(rig->stats.value[VIRTIO_BALLOON_S_MEMFREE], 5678);
	assert_int_equal(rig->stats.value[15], 99);
	rig_free(rig);
}

static void a_request_for_statistics_ends_with_a_reset(void **state)
{
	struct rig *rig = rig_new(STATS);
	struct virtio_balloon_stat stat = { .tag = 1, .val = 2 };

	add_stats(rig, &stat, 1);
	assert_int_equal(virtio_balloon__request_stats(rig->dev, on_stats, rig), 0);
	driver__set_reg(&rig->d, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rig->answers, 1);
	assert_true(rig->refused);
	assert_int_equal(virtio_balloon__request_stats(rig->dev, on_stats, rig), -ENODEV);
	rig_free(rig);
}

static void statistics_without_their_feature_are_refused(void **state)
{
	struct rig *rig = rig_new(REPORTING);

	assert_int_equal(virtio_balloon__request_stats(rig->dev, on_stats, rig), -ENODEV);
	rig_free(rig);
}

static void statistics_are_written_by_name(void **state)
{
	struct virtio_balloon_stats stats = { .valid = 1u << VIRTIO_BALLOON_S_MEMFREE | 1u << 15 };
	struct json_writer json;
	char text[200] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	stats.value[VIRTIO_BALLOON_S_MEMFREE] = 42;
	json__init(&json, out);
	json__object_begin(&json, NULL);
	virtio_balloon__write_stats(&stats, &json);
	json__object_end(&json);
	assert_int_equal(json__finish(&json), 0);
	fclose(out);
	assert_non_null(strstr(text, "\"free\": 42"));
	assert_non_null(strstr(text, "\"direct_reclaims\": 0"));
	assert_null(strstr(text, "swap_in"));
}

/* Queues and lists full of noise: nothing but a reset may come of it. */
static void noise_does_no_harm(void **state)
{
	struct rig *rig = rig_new(STATS | REPORTING);

	srand(5);
	for (unsigned int i = 0; i < 300; i++) {
		unsigned int index = (unsigned int)rand() % 5;
		uint32_t pfns[64];

		for (unsigned int j = 0; j < ARRAY_SIZE(pfns); j++)
			pfns[j] = rand() % 8 ? SCRATCH / PAGE + (uint32_t)rand() % 8
					     : (uint32_t)rand();
		send_list(rig, index, pfns, (uint32_t)rand() % sizeof(pfns));
		if (driver__needs_reset(&rig->d))
			bring_up(rig, STATS | REPORTING);
	}
	bring_up(rig, STATS | REPORTING);
	assert_true(send_page(rig, 0, SCRATCH));
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inflating_gives_back_the_pages_named_and_no_others),
		cmocka_unit_test(deflating_leaves_memory_alone),
		cmocka_unit_test(a_page_outside_memory_needs_a_reset),
		cmocka_unit_test(a_list_cut_short_or_too_long_needs_a_reset),
		cmocka_unit_test(forbidden_discarding_takes_nothing),
		cmocka_unit_test(a_large_page_goes_when_all_of_its_parts_are_given),
		cmocka_unit_test(a_reset_forgets_which_parts_were_given),
		cmocka_unit_test(no_large_page_goes_if_the_driver_takes_without_telling),
		cmocka_unit_test(reported_pages_go_whole_ones_only),
		cmocka_unit_test(reporting_is_served_whatever_number_its_queue_has),
		cmocka_unit_test(queues_without_their_feature_are_left_alone),
		cmocka_unit_test(reported_pages_stay_if_the_guest_poisons_them),
		cmocka_unit_test(the_target_reaches_the_driver_and_actual_comes_back),
		cmocka_unit_test(statistics_come_when_they_are_asked_for),
		cmocka_unit_test(a_request_for_statistics_ends_with_a_reset),
		cmocka_unit_test(statistics_without_their_feature_are_refused),
		cmocka_unit_test(statistics_are_written_by_name),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
