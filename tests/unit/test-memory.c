// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal sys__mmap */
/* A guest address reaches host memory only if every byte of it is RAM; RAM is had whole or not at
 * all. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kvm/log.h"
#include "kvm/memory.h"
#include "kvm/sys.h"

#define MIB (1ull << 20)

static char low[0x2000], high[0x1000];
static char last_message[1024];
static int mmap_error;

void __wrap_pr_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void __wrap_pr_fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last_message, sizeof(last_message), fmt, args);
	va_end(args);
}

int __real_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);
int __wrap_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out);
int __wrap_sys__mmap(size_t len, int prot, int flags, int fd, off_t offset, void **out)
{
	return mmap_error ? mmap_error : __real_sys__mmap(len, prot, flags, fd, offset, out);
}

static struct guest_memory two_regions(void)
{
	struct guest_memory mem;

	guest_memory__init(&mem);
	assert_int_equal(
		guest_memory__add(&mem, &(struct memory_region){ 0x100000000, sizeof(high), high }),
		0);
	assert_int_equal(guest_memory__add(&mem, &(struct memory_region){ 0, sizeof(low), low }),
			 0);
	return mem;
}

static void first_and_last_byte_are_ram(void **state)
{
	struct guest_memory mem = two_regions();

	assert_ptr_equal(guest_memory__at(&mem, 0, 1), low);
	assert_ptr_equal(guest_memory__at(&mem, 0x1fff, 1), low + 0x1fff);
	assert_ptr_equal(guest_memory__at(&mem, 0, sizeof(low)), low);
	assert_ptr_equal(guest_memory__at(&mem, 0x100000000, sizeof(high)), high);
	assert_int_equal(guest_memory__size(&mem), sizeof(low) + sizeof(high));
}

static void one_byte_beyond_is_not(void **state)
{
	struct guest_memory mem = two_regions();

	assert_null(guest_memory__at(&mem, 0x2000, 1));
	assert_null(guest_memory__at(&mem, 0x1fff, 2));
	assert_null(guest_memory__at(&mem, 0xffffffff, 1));
	assert_null(guest_memory__at(&mem, 0, 0));
}

static void a_length_that_wraps_is_not(void **state)
{
	struct guest_memory mem = two_regions();

	assert_null(guest_memory__at(&mem, 0x1000, UINT64_MAX));
	assert_null(guest_memory__at(&mem, UINT64_MAX, 2));
}

static void adjacent_regions_do_not_make_one(void **state)
{
	struct guest_memory mem = two_regions();

	assert_int_equal(guest_memory__add(&mem, &(struct memory_region){ 0x2000, 0x1000, high }),
			 0);
	assert_null(guest_memory__at(&mem, 0x1fff, 2));
	assert_ptr_equal(guest_memory__at(&mem, 0x2000, 1), high);
}

static void overlap_and_wrap_are_refused(void **state)
{
	struct guest_memory mem = two_regions();

	assert_int_equal(guest_memory__add(&mem, &(struct memory_region){ 0x1000, 0x1000, low }),
			 -EEXIST);
	assert_int_equal(guest_memory__add(&mem,
					   &(struct memory_region){ 0xfffff000, 0x2000, low }),
			 -EEXIST);
	assert_int_equal(
		guest_memory__add(&mem, &(struct memory_region){ UINT64_MAX - 0xfff, 0x2000, low }),
		-EINVAL);
	assert_int_equal(guest_memory__add(&mem, &(struct memory_region){ 0x5000, 0, low }),
			 -EINVAL);
	assert_int_equal(mem.nr, 2);
}

static void a_region_may_end_with_the_address_space(void **state)
{
	struct guest_memory mem = two_regions();

	assert_int_equal(guest_memory__add(&mem, &(struct memory_region){ UINT64_MAX - 0xfff,
									  0x1000, high }),
			 0);
	assert_ptr_equal(guest_memory__at(&mem, UINT64_MAX, 1), high + 0xfff);
	assert_null(guest_memory__at(&mem, UINT64_MAX, 2));
}

static void there_is_no_room_for_one_region_more(void **state)
{
	struct guest_memory mem;

	guest_memory__init(&mem);
	for (uint64_t i = GUEST_MEMORY_MAX_REGIONS; i-- > 0;)
		assert_int_equal(
			guest_memory__add(&mem, &(struct memory_region){ i << 20, 1, low }), 0);
	assert_int_equal(guest_memory__add(&mem, &(struct memory_region){ 1ull << 40, 1, low }),
			 -ENOSPC);
	for (uint64_t i = 0; i < GUEST_MEMORY_MAX_REGIONS; i++)
		assert_int_equal(mem.region[i].gpa, i << 20);
}

static void copies_are_whole_or_not_made(void **state)
{
	struct guest_memory mem = two_regions();
	char buf[4] = "abc", back[4] = "xyz";

	assert_int_equal(guest_memory__write(&mem, 0x1ffd, buf, 3), 0);
	assert_int_equal(guest_memory__read(&mem, 0x1ffd, back, 3), 0);
	assert_string_equal(back, "abc");
	assert_int_equal(guest_memory__write(&mem, 0x1ffe, "zzz", 3), -EFAULT);
	assert_memory_equal(low + 0x1ffd, "abc", 3);
	memcpy(back, "xyz", 3);
	assert_int_equal(guest_memory__read(&mem, 0x1ffe, back, 3), -EFAULT);
	assert_string_equal(back, "xyz");
}

struct dirt {
	unsigned int calls;
	uint64_t gpa, len;
};

static void note_dirt(void *ctx, uint64_t gpa, uint64_t len)
{
	struct dirt *dirt = ctx;

	*dirt = (struct dirt){ dirt->calls + 1, gpa, len };
}

static void writes_are_reported_and_failed_ones_are_not(void **state)
{
	struct guest_memory mem = two_regions();
	struct dirt dirt = { 0 };
	char c = 1;

	guest_memory__set_dirty_hook(&mem, note_dirt, &dirt);
	guest_memory__write(&mem, 0x1234, &c, 1);
	assert_int_equal(dirt.calls, 1);
	assert_int_equal(dirt.gpa, 0x1234);
	assert_int_equal(dirt.len, 1);
	guest_memory__write(&mem, 0x2000, &c, 1);
	guest_memory__read(&mem, 0, &c, 1);
	guest_memory__dirty(&mem, 0, 0);
	assert_int_equal(dirt.calls, 1);
	guest_memory__set_dirty_hook(&mem, NULL, NULL);
	guest_memory__write(&mem, 0, &c, 1);
	assert_int_equal(dirt.calls, 1);
}

static const struct memory_region pc[] = {
	{ 0, 0xa0000, NULL },
	{ 0xe0000, 3 * MIB - 0xe0000, NULL },
	{ 4096 * MIB, 5 * MIB, NULL },
};

static void check_pc(const struct memory_backing *backing, uint64_t align)
{
	struct guest_memory mem;

	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, pc, ARRAY_SIZE(pc), backing), 0);
	assert_int_equal(mem.nr, ARRAY_SIZE(pc));
	for (size_t i = 0; i < ARRAY_SIZE(pc); i++) {
		char *hva = mem.region[i].hva;

		assert_int_equal(mem.region[i].gpa, pc[i].gpa);
		assert_int_equal(mem.region[i].size, pc[i].size);
		assert_int_equal(((uintptr_t)hva - pc[i].gpa) & (align - 1), 0);
		assert_true(hva >= (char *)mem.base &&
			    hva + pc[i].size <= (char *)mem.base + mem.base_size);
		assert_int_equal(hva[0], 0);
		hva[0] = hva[pc[i].size - 1] = (char)(i + 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pc); i++)
		assert_int_equal(*(char *)mem.region[i].hva, i + 1);
	guest_memory__free(&mem);
	assert_int_equal(mem.nr, 0);
	assert_null(mem.base);
	assert_int_equal(mem.fd, -1);
	guest_memory__free(&mem);
}

static void regions_lie_in_the_host_as_in_the_guest_modulo_alignment(void **state)
{
	check_pc(&(struct memory_backing){ 0 }, 4096);
	check_pc(&(struct memory_backing){ .align = MIB }, MIB);
	check_pc(&(struct memory_backing){ .align = 2 * MIB }, 2 * MIB);
	check_pc(&(struct memory_backing){ .align = 2 * MIB, .shared = true }, 2 * MIB);
}

static void shared_memory_is_the_same_through_its_file(void **state)
{
	struct guest_memory mem;
	char *region, *again;

	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, pc, ARRAY_SIZE(pc),
					     &(struct memory_backing){ .shared = true }),
			 0);
	assert_true(mem.fd >= 0);
	again = mmap(NULL, mem.base_size, PROT_READ, MAP_SHARED, mem.fd, 0);
	assert_ptr_not_equal(again, MAP_FAILED);
	region = mem.region[2].hva;
	region[0x123] = 'x';
	assert_int_equal(again[region - (char *)mem.base + 0x123], 'x');
	munmap(again, mem.base_size);
	guest_memory__free(&mem);
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int entries = 0;

	assert_non_null(dir);
	while (readdir(dir))
		entries++;
	closedir(dir);
	return entries == 2;
}

static void a_directory_for_memory_shows_no_file(void **state)
{
	char dir[] = "/tmp/lkvm-test-XXXXXX";
	struct guest_memory mem;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, pc, ARRAY_SIZE(pc),
					     &(struct memory_backing){ .path = dir }),
			 0);
	assert_true(is_empty(dir));
	assert_false(fstat(mem.fd, &st));
	assert_int_equal(st.st_size, mem.base_size);
	/* Allocated, so that nothing can run out later. */
	assert_true((uint64_t)st.st_blocks * 512 >= mem.base_size);
	guest_memory__free(&mem);
	check_pc(&(struct memory_backing){ .path = dir, .align = 2 * MIB }, 2 * MIB);
	rmdir(dir);
}

static void a_directory_that_is_not_there_is_named(void **state)
{
	struct guest_memory mem;

	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, pc, ARRAY_SIZE(pc),
					     &(struct memory_backing){ .path = "/nowhere/at-all" }),
			 -ENOENT);
	assert_non_null(strstr(last_message, "/nowhere/at-all"));
	assert_int_equal(mem.nr, 0);
}

static void too_little_room_in_a_directory_is_an_error_at_once(void **state)
{
	const struct memory_region huge = { 0, 1ull << 50, NULL };
	struct guest_memory mem;
	int ret;

	guest_memory__init(&mem);
	ret = guest_memory__alloc(&mem, &huge, 1, &(struct memory_backing){ .path = "/tmp" });
	assert_true(ret == -ENOSPC || ret == -EFBIG);
	assert_non_null(strstr(last_message, "/tmp"));
	assert_int_equal(mem.nr, 0);
	assert_null(mem.base);
}

static void more_than_the_address_space_is_an_error(void **state)
{
	const struct memory_region huge = { 0, 1ull << 60, NULL };
	const struct memory_region absurd[] = { { 0, 1ull << 63, NULL },
						{ 1ull << 63, 1ull << 63, NULL } };
	struct guest_memory mem;

	guest_memory__init(&mem);
	last_message[0] = 0;
	assert_int_equal(guest_memory__alloc(&mem, &huge, 1, &(struct memory_backing){ 0 }),
			 -ENOMEM);
	assert_non_null(strstr(last_message, "guest RAM"));
	assert_int_equal(guest_memory__alloc(&mem, absurd, 2, &(struct memory_backing){ 0 }),
			 -EINVAL);
	assert_int_equal(mem.nr, 0);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void a_failed_mapping_leaves_nothing_behind(void **state)
{
	struct guest_memory mem;
	int before = count_fds();

	guest_memory__init(&mem);
	mmap_error = -ENOMEM;
	assert_int_equal(guest_memory__alloc(&mem, pc, ARRAY_SIZE(pc),
					     &(struct memory_backing){ .shared = true }),
			 -ENOMEM);
	mmap_error = 0;
	assert_int_equal(count_fds(), before);
	assert_int_equal(mem.nr, 0);
	assert_int_equal(mem.fd, -1);
	assert_null(mem.base);
}

static void bad_regions_are_refused(void **state)
{
	const struct memory_region overlapping[] = { { 0, 0x2000, NULL },
						     { 0x1000, 0x1000, NULL } };
	const struct memory_region empty = { 0 };
	struct guest_memory mem;

	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, overlapping, 2, &(struct memory_backing){ 0 }),
			 -EEXIST);
	assert_int_equal(guest_memory__alloc(&mem, &empty, 1, &(struct memory_backing){ 0 }),
			 -EINVAL);
	assert_int_equal(guest_memory__alloc(&mem, pc, 0, &(struct memory_backing){ 0 }), -EINVAL);
	assert_int_equal(guest_memory__alloc(&mem, pc, 1, &(struct memory_backing){ .align = 3 }),
			 -EINVAL);
	assert_int_equal(mem.nr, 0);
}

static void memory_is_allocated_once(void **state)
{
	struct guest_memory mem;

	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, pc, 1, &(struct memory_backing){ 0 }), 0);
	assert_int_equal(guest_memory__alloc(&mem, pc, 1, &(struct memory_backing){ 0 }), -EINVAL);
	assert_int_equal(mem.nr, 1);
	guest_memory__free(&mem);
}

/* Pages of @mem in this process's memory, of its whole mapping. */
static uint64_t resident(const struct guest_memory *mem)
{
	uint64_t pages = mem->base_size / 4096, n = 0;
	unsigned char *vec = malloc(pages);

	assert_non_null(vec);
	assert_false(mincore(mem->base, mem->base_size, vec));
	for (uint64_t i = 0; i < pages; i++)
		n += vec[i] & 1;
	free(vec);
	return n;
}

static void nothing_is_touched_by_allocating(void **state)
{
	const struct memory_region gib = { 0, 1024 * MIB, NULL };
	struct guest_memory mem;

	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, &gib, 1,
					     &(struct memory_backing){ .align = 2 * MIB }),
			 0);
	assert_int_equal(resident(&mem), 0);
	guest_memory__free(&mem);
}

/* Where a hugetlbfs is mounted: the first one listed. */
static bool find_hugetlbfs(char *path, size_t size)
{
	char line[1024], type[64];
	FILE *mounts = fopen("/proc/mounts", "r");
	bool found = false;

	while (mounts && !found && fgets(line, sizeof(line), mounts))
		found = size >= 256 && sscanf(line, "%*s %255s %63s", path, type) == 2 &&
			!strcmp(type, "hugetlbfs");
	if (mounts)
		fclose(mounts);
	return found;
}

static void too_few_huge_pages_are_an_error_at_once(void **state)
{
	const struct memory_region huge = { 0, 1ull << 44, NULL };
	struct guest_memory mem;
	char path[256];

	if (!find_hugetlbfs(path, sizeof(path)) || access(path, W_OK)) {
		print_message("SKIP: no hugetlbfs that can be written to is mounted\n");
		skip();
	}
	guest_memory__init(&mem);
	assert_int_equal(guest_memory__alloc(&mem, &huge, 1,
					     &(struct memory_backing){ .path = path }),
			 -ENOMEM);
	assert_non_null(strstr(last_message, "nr_hugepages"));
	assert_int_equal(mem.nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_and_last_byte_are_ram),
		cmocka_unit_test(one_byte_beyond_is_not),
		cmocka_unit_test(a_length_that_wraps_is_not),
		cmocka_unit_test(adjacent_regions_do_not_make_one),
		cmocka_unit_test(overlap_and_wrap_are_refused),
		cmocka_unit_test(a_region_may_end_with_the_address_space),
		cmocka_unit_test(there_is_no_room_for_one_region_more),
		cmocka_unit_test(copies_are_whole_or_not_made),
		cmocka_unit_test(writes_are_reported_and_failed_ones_are_not),
		cmocka_unit_test(regions_lie_in_the_host_as_in_the_guest_modulo_alignment),
		cmocka_unit_test(shared_memory_is_the_same_through_its_file),
		cmocka_unit_test(a_directory_for_memory_shows_no_file),
		cmocka_unit_test(a_directory_that_is_not_there_is_named),
		cmocka_unit_test(too_little_room_in_a_directory_is_an_error_at_once),
		cmocka_unit_test(more_than_the_address_space_is_an_error),
		cmocka_unit_test(a_failed_mapping_leaves_nothing_behind),
		cmocka_unit_test(bad_regions_are_refused),
		cmocka_unit_test(memory_is_allocated_once),
		cmocka_unit_test(nothing_is_touched_by_allocating),
		cmocka_unit_test(too_few_huge_pages_are_an_error_at_once),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
