// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers mean what people write and nothing else; what cannot be run is refused before anything
 * exists. */
/* WRAP: pr_fatal */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/config.h"

/* The last message, and how many there were. */
static char message[1024];
static int messages;

void __wrap_pr_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void __wrap_pr_fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	messages++;
}

static uint64_t size_of(const char *text)
{
	uint64_t bytes = 0xdead;

	assert_int_equal(config__parse_size(text, &bytes), 0);
	return bytes;
}

static int refused_size(const char *text)
{
	uint64_t bytes;

	return config__parse_size(text, &bytes);
}

static void a_size_without_a_unit_is_mebibytes(void **state)
{
	assert_true(size_of("0") == 0);
	assert_true(size_of("512") == 512ull << 20);
	assert_true(size_of("0x10") == 16ull << 20);
	assert_true(size_of("17592186044415") == 17592186044415ull << 20);
}

static void units_are_powers_of_1024_in_either_case(void **state)
{
	assert_true(size_of("1B") == 1);
	assert_true(size_of("4k") == 4096);
	assert_true(size_of("3M") == 3ull << 20);
	assert_true(size_of("2g") == 2ull << 30);
	assert_true(size_of("1T") == 1ull << 40);
	assert_true(size_of("5p") == 5ull << 50);
	assert_true(size_of("18446744073709551615b") == UINT64_MAX);
}

static void a_final_b_is_the_unit_even_after_hexadecimal_digits(void **state)
{
	assert_true(size_of("0x40000000B") == 0x40000000);
	assert_true(size_of("0xBb") == 11);
}

static void a_leading_zero_does_not_make_it_octal(void **state)
{
	assert_true(size_of("0512B") == 512);
}

static void what_is_not_a_size_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	"B",	 "M",	   "x",	     "-1",   "+1",  " 1",    "1 ",
		"1 M",	"1MB",	 "1MiB",   "1E",     "12X",  "0x",  "0xM",   "0x-1B",
		"1.5G", "1e3",	 "1,000M", "--1",    "0b1M", "1\n", "٣M",    "1M\xff",
		"0X 1", "0x1g5", "M512",   "512%sM", "nan",  "inf", "0x0x1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (refused_size(texts[i]) != -EINVAL)
			fail_msg("'%s' was taken for a size", texts[i]);
}

static void a_size_beyond_64_bits_does_not_wrap(void **state)
{
	assert_int_equal(refused_size("16384P"), -ERANGE);
	assert_int_equal(refused_size("17592186044416"), -ERANGE);
	assert_int_equal(refused_size("18446744073709551616B"), -ERANGE);
	assert_int_equal(refused_size("18446744073709551615P"), -ERANGE);
	assert_int_equal(refused_size("99999999999999999999999999999M"), -ERANGE);
}

static void a_refused_size_leaves_no_value(void **state)
{
	char endless[4096];
	uint64_t bytes = 7;

	memset(endless, '9', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_true(config__parse_size(endless, &bytes) < 0);
	assert_true(config__parse_size("1X", &bytes) < 0);
	assert_true(bytes == 7);
}

static void a_number_is_digits_up_to_its_maximum(void **state)
{
	uint64_t value = 0;

	assert_int_equal(config__parse_number("100", 100, &value), 0);
	assert_true(value == 100);
	assert_int_equal(config__parse_number("0xFf", 255, &value), 0);
	assert_true(value == 255);
	assert_int_equal(config__parse_number("101", 100, &value), -ERANGE);
	assert_int_equal(config__parse_number("18446744073709551616", UINT64_MAX, &value), -ERANGE);
	assert_int_equal(config__parse_number("", 100, &value), -EINVAL);
	assert_int_equal(config__parse_number("-1", UINT64_MAX, &value), -EINVAL);
	assert_int_equal(config__parse_number("1s", 100, &value), -EINVAL);
	assert_int_equal(config__parse_number("0x", 100, &value), -EINVAL);
	assert_true(value == 255);
}

static void expect_cpus(const char *text, unsigned int nr, unsigned int sockets, unsigned int cores,
			unsigned int threads)
{
	struct cpu_topology topology;

	assert_int_equal(config__parse_cpus(text, &topology), 0);
	assert_int_equal(topology.nr, nr);
	assert_int_equal(topology.sockets, sockets);
	assert_int_equal(topology.cores, cores);
	assert_int_equal(topology.threads, threads);
}

static int refused_cpus(const char *text)
{
	struct cpu_topology topology = { .nr = 99 };
	int ret = config__parse_cpus(text, &topology);

	assert_int_equal(topology.nr, 99);
	return ret;
}

static void sockets_take_what_is_left_over(void **state)
{
	expect_cpus("1", 1, 1, 1, 1);
	expect_cpus("4", 4, 4, 1, 1);
	expect_cpus("4096", 4096, 4096, 1, 1);
	expect_cpus("8,cores=4", 8, 2, 4, 1);
	expect_cpus("8,threads=2", 8, 4, 1, 2);
	expect_cpus("8,threads=2,cores=4", 8, 1, 4, 2);
	expect_cpus("8,sockets=2,cores=2,threads=2", 8, 2, 2, 2);
	expect_cpus("2,sockets=2", 2, 2, 1, 1);
}

static void a_topology_must_add_up(void **state)
{
	assert_int_equal(refused_cpus("8,cores=3"), -EINVAL);
	assert_int_equal(refused_cpus("8,cores=16"), -EINVAL);
	assert_int_equal(refused_cpus("8,sockets=2"), -EINVAL);
	assert_int_equal(refused_cpus("7,sockets=2,cores=2,threads=2"), -EINVAL);
	/* 2^12 each: 2^36, of which a 32-bit product would leave 0 */
	assert_int_equal(refused_cpus("1,sockets=4096,cores=4096,threads=4096"), -EINVAL);
}

static void there_is_at_least_one_cpu_and_at_most_4096(void **state)
{
	assert_int_equal(refused_cpus("0"), -ERANGE);
	assert_int_equal(refused_cpus("4097"), -ERANGE);
	assert_int_equal(refused_cpus("4294967297"), -ERANGE);
	assert_int_equal(refused_cpus("99999999999999999999999"), -ERANGE);
	assert_int_equal(refused_cpus("4,cores=0"), -ERANGE);
	assert_int_equal(refused_cpus("4,threads=4097"), -ERANGE);
}

static void what_is_not_a_topology_is_refused(void **state)
{
	static const char *const texts[] = {
		"",	     "x",	   "-1",
		"1 ",	     ",",	   "4,",
		",cores=2",  "4,,cores=2", "4,cores",
		"4,cores=",  "4,cores=x",  "4,cores=-2",
		"4,core=2",  "4,cores=2,", "4,cores=2,cores=2",
		"4;cores=2", "4 cores=2",  "4,cores =2",
		"4,CORES=2", "cores=2",	   "4,cores=2=2",
		"4,dies=2",  "4M",	   "4,sockets=4,sockets=4",
	};
	char endless[4096] = "4";

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (refused_cpus(texts[i]) != -EINVAL)
			fail_msg("'%s' was taken for a topology", texts[i]);

	while (strlen(endless) < sizeof(endless) - 16)
		strcat(endless, ",cores=1");
	assert_int_equal(refused_cpus(endless), -EINVAL);
}

static struct vm_config *a_good_one(void)
{
	static struct vm_config cfg;

	config__init(&cfg);
	cfg.kernel = "bzImage";
	messages = 0;
	*message = '\0';
	return &cfg;
}

static void expect_valid(const struct vm_config *cfg)
{
	if (config__validate(cfg))
		fail_msg("refused: %s", message);
	assert_int_equal(messages, 0);
}

/* Refused, with one message, which says @words. */
static void expect_refused(const struct vm_config *cfg, const char *words)
{
	messages = 0;
	assert_int_equal(config__validate(cfg), -EINVAL);
	assert_int_equal(messages, 1);
	if (!strstr(message, words))
		fail_msg("'%s' does not say '%s'", message, words);
}

static void the_defaults_need_but_a_kernel(void **state)
{
	struct vm_config *cfg = a_good_one();
	char name[32];

	expect_valid(cfg);
	snprintf(name, sizeof(name), "guest-%d", (int)getpid());
	assert_string_equal(cfg->name, name);
	assert_string_equal(cfg->dev, "/dev/kvm");
	assert_string_equal(cfg->cpu_model, "host");
	assert_true(cfg->ram_size == 512ull << 20);
	assert_int_equal(cfg->cpus.nr, 1);
	assert_true(cfg->default_params);

	cfg->kernel = NULL;
	expect_refused(cfg, "no kernel");
}

static void memory_is_bounded_and_in_pages(void **state)
{
	struct vm_config *cfg = a_good_one();
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	static const struct {
		uint64_t size;
		const char *words;
	} refused[] = {
		{ 0, "0B is too little" },
		{ 1, "1B is too little" },
		{ (1 << 20) - 1, "too little" },
		{ (1 << 20) + 1, "not a multiple" },
		{ (1ull << 46) + 1, "64T at the most" },
		{ 100ull << 40, "64T at the most" },
		{ UINT64_MAX, "64T at the most" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		cfg->ram_size = refused[i].size;
		expect_refused(cfg, refused[i].words);
	}
	cfg->ram_size = (1 << 20) + page - 1;
	expect_refused(cfg, "not a multiple");

	cfg = a_good_one();
	cfg->ram_size = 1 << 20;
	expect_valid(cfg);
	cfg->ram_size = (1 << 20) + page;
	expect_valid(cfg);
	cfg->ram_size = 1ull << 46;
	expect_valid(cfg);
}

static void cpus_are_checked_wherever_they_come_from(void **state)
{
	struct vm_config *cfg = a_good_one();

	cfg->cpus = (struct cpu_topology){ 0, 0, 0, 0 };
	expect_refused(cfg, "--cpus: 0 vCPUs");
	cfg->cpus = (struct cpu_topology){ 4097, 4097, 1, 1 };
	expect_refused(cfg, "--cpus: 4097 vCPUs");
	cfg->cpus = (struct cpu_topology){ 4, 1, 1, 1 };
	expect_refused(cfg, "are not 4 vCPUs");
	/* a product of 2^32 + 4 */
	cfg->cpus = (struct cpu_topology){ 4, 0x80000002, 2, 1 };
	expect_refused(cfg, "are not 4 vCPUs");
	/* and one beyond 64 bits */
	cfg->cpus = (struct cpu_topology){ 4, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	expect_refused(cfg, "are not 4 vCPUs");
}

static void a_name_stays_in_its_directory(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"../x",
		"a/b",
		".",
		"..",
		".hidden",
		"-x",
		"a b",
		"a\nb",
		"a\\",
		"é",
		"a:b",
		"$(x)",
		"a\x7f",
		"*",
		"01234567890123456789012345678901234567890123456789012345678901234",
	};
	static const char *const good[] = {
		"a",
		"guest-1",
		"_x",
		"A.b_c-9",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	struct vm_config *cfg = a_good_one();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg->name = bad[i];
		expect_refused(cfg, "is not a name");
	}
	messages = 0;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cfg->name = good[i];
		expect_valid(cfg);
	}
}

static void serial_ports_do_not_share_a_file(void **state)
{
	struct vm_config *cfg = a_good_one();

	cfg->tty[0] = "/dev/pts/1";
	cfg->tty[3] = "/dev/pts/2";
	expect_valid(cfg);
	cfg->tty[3] = "/dev/pts/1";
	expect_refused(cfg, "ports 0 and 3 cannot share /dev/pts/1");

	cfg = a_good_one();
	cfg->tty[0] = cfg->tty[1] = "pty";
	cfg->tty[2] = cfg->tty[3] = "null";
	expect_valid(cfg);
}

static void it_can_be_freed_twice(void **state)
{
	struct vm_config *cfg = a_good_one();

	cfg->params = strdup("quiet");
	config__free(cfg);
	assert_null(cfg->params);
	config__free(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_size_without_a_unit_is_mebibytes),
		cmocka_unit_test(units_are_powers_of_1024_in_either_case),
		cmocka_unit_test(a_final_b_is_the_unit_even_after_hexadecimal_digits),
		cmocka_unit_test(a_leading_zero_does_not_make_it_octal),
		cmocka_unit_test(what_is_not_a_size_is_refused),
		cmocka_unit_test(a_size_beyond_64_bits_does_not_wrap),
		cmocka_unit_test(a_refused_size_leaves_no_value),
		cmocka_unit_test(a_number_is_digits_up_to_its_maximum),
		cmocka_unit_test(sockets_take_what_is_left_over),
		cmocka_unit_test(a_topology_must_add_up),
		cmocka_unit_test(there_is_at_least_one_cpu_and_at_most_4096),
		cmocka_unit_test(what_is_not_a_topology_is_refused),
		cmocka_unit_test(the_defaults_need_but_a_kernel),
		cmocka_unit_test(memory_is_bounded_and_in_pages),
		cmocka_unit_test(cpus_are_checked_wherever_they_come_from),
		cmocka_unit_test(a_name_stays_in_its_directory),
		cmocka_unit_test(serial_ports_do_not_share_a_file),
		cmocka_unit_test(it_can_be_freed_twice),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
