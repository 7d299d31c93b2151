// SPDX-License-Identifier: GPL-2.0-or-later
/* One table is parsed, explained and completed, and what it is given lands where it belongs. */
/* WRAP: pr_fatal */
#include "test.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/builtin.h"
#include "kvm/config.h"
#include "kvm/options.h"

#define MAX_ARGS 80

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

/*
 * A table of its own, for what any table does.
 */

struct target {
	bool on, off;
	const char *text;
	unsigned int fruit;
	char seen[64];
};

static const struct option_choice fruits[] = {
	{ "apple", 1, NULL },
	{ "pear", 2, LKVM_ARCH },
	{ "durian", 3, "elsewhere" },
	{ NULL, 0, NULL },
};

static int see(const struct option_spec *opt, void *target, const char *arg)
{
	struct target *seen = target;

	strcat(seen->seen, opt ? "<" : "[");
	strcat(seen->seen, arg);
	strcat(seen->seen, opt ? ">" : "]");
	return strcmp(arg, "bad") ? 0 : -ENOTSUP;
}

static const struct option_spec options[] = {
	{ .name = "on",
	  .letter = 'o',
	  .set = option__set_flag,
	  .help = "turn it on",
	  .field = OPTION_FIELD(struct target, on, bool) },
	{ .name = "off",
	  .set = option__clear_flag,
	  .help = "turn it off",
	  .field = OPTION_FIELD(struct target, off, bool) },
	{ .name = "text",
	  .letter = 't',
	  .arg = "TEXT",
	  .set = option__set_string,
	  .help = "take a text that is so long to explain that it takes more than a single line of "
		  "help",
	  .manual = "First. .Second -- with \\ and 'quotes'.",
	  .field = OPTION_FIELD(struct target, text, const char *) },
	{ .name = "text-file", .arg = "FILE", .set = see, .help = "begin like another" },
	{ .name = "fruit",
	  .choices = fruits,
	  .set = option__set_choice,
	  .help = "choose one",
	  .field = OPTION_FIELD(struct target, fruit, unsigned int) },
	{ .name = "foreign",
	  .letter = 'f',
	  .set = option__set_flag,
	  .help = "not here",
	  .arch = "elsewhere",
	  .field = OPTION_FIELD(struct target, on, bool) },
};

static const struct option_table table = {
	.command = "test",
	.summary = "Try things out",
	.options = options,
	.nr = ARRAY_SIZE(options),
	.operand = "[WORD]...",
	.set_operand = see,
	.notes = "That is all.",
};

static int parse(const struct option_table *which, void *target, const char *const *words)
{
	char *argv[MAX_ARGS];
	int argc = 0;

	argv[argc++] = (char *)(uintptr_t)which->command;
	while (words[argc - 1]) {
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
		argc++;
	}
	argv[argc] = NULL;
	messages = 0;
	*message = '\0';
	return options__parse(which, target, argc, argv);
}

#define PARSE(target, ...) parse(&table, target, (const char *const[]){ __VA_ARGS__, NULL })

#define expect_refused(ret, words)                                          \
	do {                                                                \
		assert_true((ret) < 0);                                     \
		assert_int_equal(messages, 1);                              \
		if (!strstr(message, words))                                \
			fail_msg("'%s' does not say '%s'", message, words); \
	} while (0)

static void values_land_in_their_fields(void **state)
{
	struct target target = { .off = true };
	const char *text = "a text";

	assert_int_equal(PARSE(&target, "-o", "--off", "--text", text, "--fruit=pear"), 0);
	assert_true(target.on);
	assert_false(target.off);
	assert_ptr_equal(target.text, text);
	assert_int_equal(target.fruit, 2);
}

static void letters_can_be_joined_and_carry_their_argument(void **state)
{
	struct target target = { 0 };

	assert_int_equal(PARSE(&target, "-otx"), 0);
	assert_true(target.on);
	assert_string_equal(target.text, "x");
	assert_int_equal(PARSE(&target, "-t", "-o"), 0);
	assert_string_equal(target.text, "-o");
}

static void options_and_operands_are_taken_in_order(void **state)
{
	struct target target = { 0 };

	assert_int_equal(PARSE(&target, "a", "--text-file", "b", "c", "--text-file=d", "--", "-o"),
			 0);
	assert_string_equal(target.seen, "[a]<b>[c]<d>[-o]");
	assert_false(target.on);
}

static void parsing_starts_anew_each_time(void **state)
{
	struct target target = { 0 };

	assert_true(PARSE(&target, "-oZ", "a") < 0);
	target = (struct target){ 0 };
	assert_int_equal(PARSE(&target, "a", "-o"), 0);
	assert_string_equal(target.seen, "[a]");
	assert_true(target.on);
}

static void an_abbreviation_is_not_an_option(void **state)
{
	struct target target = { 0 };

	expect_refused(PARSE(&target, "--frui", "pear"),
		       "no such option: --frui; did you mean --fruit?");
	expect_refused(PARSE(&target, "--frui=pear"),
		       "no such option: --frui; did you mean --fruit?");
	expect_refused(PARSE(&target, "--of"), "did you mean --off?");
	expect_refused(PARSE(&target, "--tex=x"), "no such option: --tex.");
	expect_refused(PARSE(&target, "--hel"), "did you mean --help?");
	assert_int_equal(target.fruit, 0);
	/* a whole name is no abbreviation of a longer one */
	assert_int_equal(PARSE(&target, "--text", "--text"), 0);
	assert_string_equal(target.text, "--text");
}

static void what_is_no_option_is_named(void **state)
{
	struct target target = { 0 };

	expect_refused(PARSE(&target, "--foo=bar"),
		       "no such option: --foo. See 'lkvm test --help'.");
	expect_refused(PARSE(&target, "-x"), "no such option: -x. ");
	expect_refused(PARSE(&target, "-ox"), "no such option: -x. ");
	expect_refused(PARSE(&target, "-:"), "no such option: -:. ");
	expect_refused(PARSE(&target, "--="), "no such option: --. ");
	expect_refused(PARSE(&target, "-\xc3\xa9"), "no such option");
	expect_refused(PARSE(&target, "--%s%n"), "no such option: --%s%n. ");
	expect_refused(PARSE(&target, "-W", "on"), "no such option: -W. ");
}

static void a_missing_argument_and_one_too_many_are_named(void **state)
{
	struct target target = { 0 };

	expect_refused(PARSE(&target, "--text"), "--text needs TEXT");
	expect_refused(PARSE(&target, "-ot"), "--text needs TEXT");
	expect_refused(PARSE(&target, "--text="), "--text needs TEXT");
	expect_refused(PARSE(&target, "--fruit"), "--fruit needs apple|pear.");
	expect_refused(PARSE(&target, "--on=yes"), "--on takes no argument");
	expect_refused(PARSE(&target, "--help=me"), "--help takes no argument");
}

static void a_word_that_is_no_choice_is_answered_with_those_that_are(void **state)
{
	struct target target = { 0 };

	expect_refused(PARSE(&target, "--fruit=fig"), "--fruit=fig: it is one of: apple, pear");
	expect_refused(PARSE(&target, "--fruit="), "it is one of: apple, pear");
	expect_refused(PARSE(&target, "--fruit=app"), "it is one of: apple, pear");
	expect_refused(PARSE(&target, "--fruit=durian"), "only for elsewhere");
	assert_int_equal(target.fruit, 0);
}

static void an_option_of_another_architecture_says_so(void **state)
{
	struct target target = { 0 };

	expect_refused(PARSE(&target, "--foreign"),
		       "--foreign is only for elsewhere, and this lkvm is for " LKVM_ARCH);
	expect_refused(PARSE(&target, "-f"), "--foreign is only for elsewhere");
	assert_false(target.on);
}

static void the_error_of_a_setter_ends_parsing(void **state)
{
	struct target target = { 0 };

	assert_int_equal(PARSE(&target, "--text-file=bad", "a"), -ENOTSUP);
	assert_int_equal(PARSE(&target, "--", "bad", "a"), -ENOTSUP);
	assert_string_equal(target.seen, "<bad>[bad]");
}

static void operands_are_refused_where_there_are_none(void **state)
{
	static const struct option_table bare = { .command = "bare", .summary = "Nothing" };
	const char *const words[] = { "x", NULL }, *const after[] = { "--", "x", NULL };
	const char *const none[] = { NULL };

	assert_int_equal(parse(&bare, NULL, none), 0);
	expect_refused(parse(&bare, NULL, words),
		       "unexpected argument: x. See 'lkvm bare --help'.");
	expect_refused(parse(&bare, NULL, after), "unexpected argument: x");
}

static void no_arguments_at_all_are_harmless(void **state)
{
	struct target target = { 0 };
	char *argv[] = { NULL };

	assert_int_equal(options__parse(&table, &target, 0, argv), 0);
}

/* What a printer prints; free() it. */
static char *printed(void (*print)(const struct option_table *, FILE *),
		     const struct option_table *which)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(which, out);
	fclose(out);
	return text;
}

static void help_lists_what_this_architecture_has(void **state)
{
	char *text = printed(options__print_help, &table);

	assert_non_null(strstr(text, "usage: lkvm test [options] [WORD]...\n\nTry things out.\n"));
	assert_non_null(strstr(text, "\n    -o, --on                  turn it on\n"));
	assert_non_null(strstr(text, "\n        --fruit apple|pear    choose one\n"));
	assert_non_null(strstr(text, "\n    -h, --help "));
	assert_non_null(strstr(text, "\nThat is all.\n"));
	assert_null(strstr(text, "foreign"));
	free(text);
}

static void help_fits_80_columns(void **state)
{
	const struct option_table *const tables[] = { &table, &run_options };

	for (size_t i = 0; i < 2; i++) {
		char *text = printed(options__print_help, tables[i]);

		for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
			if (strcspn(line, "\n") > 80)
				fail_msg("too long: %s", line);
		free(text);
	}
}

static void the_manual_lists_all_architectures_and_escapes(void **state)
{
	char *text = printed(options__print_manual, &table);

	assert_non_null(strstr(text, ".It Fl o , Fl \\-on\nTurn it on.\n"));
	assert_non_null(strstr(text, ".It Fl \\-text\\-file Ar FILE\n"));
	assert_non_null(strstr(text, ".It Fl \\-fruit Cm apple | pear | durian\n"));
	assert_non_null(strstr(text, "\nFirst.\n\\&.Second \\-\\- with \\e and \\&'quotes'.\n"));
	assert_non_null(strstr(text, "\nNot here.\nOnly on elsewhere.\n"));
	free(text);
}

static void words_say_what_each_takes(void **state)
{
	char *text = printed(options__print_words, &table);

	assert_non_null(strstr(text, "--on\t\tturn it on\n-o\t\tturn it on\n"));
	assert_non_null(strstr(text, "--text-file\tFILE\tbegin like another\n"));
	assert_non_null(strstr(text, "--fruit\tapple|pear\tchoose one\n"));
	assert_non_null(strstr(text, "--help\t\t"));
	assert_null(strstr(text, "foreign"));
	free(text);
}

/*
 * The table of lkvm run.
 */

static void each_option_of_run_is_unique_and_complete(void **state)
{
	for (size_t i = 0; i < run_options.nr; i++) {
		const struct option_spec *opt = &run_options.options[i];
		const size_t len = strlen(opt->help);

		assert_string_not_equal(opt->name, "help");
		assert_true(opt->letter != 'h');
		assert_non_null(opt->set);
		assert_true(opt->section != SECTION_OPTIONS);
		if (len < 8 || len > 50 || isupper((unsigned char)opt->help[0]) ||
		    opt->help[len - 1] == '.')
			fail_msg("--%s: help is not a short line: %s", opt->name, opt->help);
		if (opt->manual && opt->manual[strlen(opt->manual) - 1] != '.')
			fail_msg("--%s: the manual is not a sentence: %s", opt->name, opt->manual);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(opt->name, run_options.options[j].name);
			if (opt->letter)
				assert_true(opt->letter != run_options.options[j].letter);
		}
	}
}

static void each_option_of_run_is_in_help_manual_and_words(void **state)
{
	char *help = printed(options__print_help, &run_options);
	char *words = printed(options__print_words, &run_options);
	char *manual = printed(options__print_manual, &run_options);

	for (size_t i = 0; i < run_options.nr; i++) {
		const struct option_spec *opt = &run_options.options[i];
		const bool here = option__available(opt->arch);
		char in_help[64], in_words[64], in_manual[64];
		size_t at;

		snprintf(in_help, sizeof(in_help), " --%s%s", opt->name,
			 opt->arg || opt->choices ? " " : "");
		snprintf(in_words, sizeof(in_words), "--%s\t", opt->name);
		at = (size_t)snprintf(in_manual, sizeof(in_manual), "Fl \\-");
		for (const char *c = opt->name; *c; c++)
			at += (size_t)snprintf(in_manual + at, sizeof(in_manual) - at,
					       *c == '-' ? "\\%c" : "%c", *c);

		if (!strstr(help, in_help) == here || !strstr(words, in_words) == here ||
		    !strstr(manual, in_manual))
			fail_msg("--%s is not everywhere", opt->name);
	}
	free(help);
	free(words);
	free(manual);
}

static struct vm_config cfg;

static int run_words(const char *const *words)
{
	config__free(&cfg);
	config__init(&cfg);
	return parse(&run_options, &cfg, words);
}

#define RUN(...) run_words((const char *const[]){ __VA_ARGS__, NULL })

static int free_config(void **state)
{
	config__free(&cfg);
	return 0;
}

static void options_of_run_reach_the_configuration(void **state)
{
	assert_int_equal(RUN("--name=n", "--dev", "/d", "-k", "k", "-i", "i", "--boot", "elf", "-m",
			     "64", "-c", "4,cores=2", "--cpu", "max,-x2apic", "--irqchip", "auto",
			     "--console", "serial", "--tty", "2=/t", "--timeout", "9", "--trace",
			     "-", "--vmlinux", "v"),
			 0);
	assert_string_equal(cfg.name, "n");
	assert_string_equal(cfg.dev, "/d");
	assert_string_equal(cfg.kernel, "k");
	assert_string_equal(cfg.initrd, "i");
	assert_int_equal(cfg.boot, BOOT_ELF);
	assert_true(cfg.ram_size == 64ull << 20);
	assert_int_equal(cfg.cpus.nr, 4);
	assert_int_equal(cfg.cpus.sockets, 2);
	assert_string_equal(cfg.cpu_model, "max,-x2apic");
	assert_int_equal(cfg.irqchip, IRQCHIP_AUTO);
	assert_int_equal(cfg.console, CONSOLE_SERIAL);
	assert_null(cfg.tty[0]);
	assert_string_equal(cfg.tty[2], "/t");
	assert_int_equal(cfg.timeout, 9);
	assert_string_equal(cfg.trace, "-");
	assert_string_equal(cfg.vmlinux, "v");
}

static void flags_of_run_are_off_until_given(void **state)
{
	static const struct {
		const char *option;
		const bool *flag;
		bool given;
	} flags[] = {
		{ "--nodefaults", &cfg.default_params, false },
		{ "--no-default-params", &cfg.default_params, false },
		{ "--dump-config", &cfg.dump_config, true },
		{ "--mem-shared", &cfg.mem_shared, true },
		{ "--reboot", &cfg.reboot, true },
		{ "--debug-ioport", &cfg.debug_ioport, true },
		{ "--debug-mmio", &cfg.debug_mmio, true },
		{ "--debug-single-step", &cfg.debug_single_step, true },
		{ "--stats", &cfg.stats, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		assert_int_equal(RUN("k"), 0);
		assert_int_equal(*flags[i].flag, !flags[i].given);
		assert_int_equal(RUN(flags[i].option, "k"), 0);
		assert_int_equal(*flags[i].flag, flags[i].given);
	}
}

static void options_of_x86_are_known_everywhere(void **state)
{
	const bool here = option__available("x86");
	static const struct {
		const char *option;
		const bool *flag;
	} flags[] = {
		{ "--no-acpi", &cfg.no_acpi },
		{ "--debug-exit", &cfg.debug_exit },
		{ "--debug-console", &cfg.debug_console },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		int ret = RUN(flags[i].option);

		assert_int_equal(*flags[i].flag, here);
		if (here)
			assert_int_equal(ret, 0);
		else
			expect_refused(ret, "is only for x86");
	}
}

static void hugetlbfs_is_another_name_of_mem_path(void **state)
{
	assert_int_equal(RUN("--hugetlbfs", "/h"), 0);
	assert_string_equal(cfg.mem_path, "/h");
	assert_int_equal(RUN("--mem-path", "/m"), 0);
	assert_string_equal(cfg.mem_path, "/m");
}

static void params_add_up(void **state)
{
	assert_int_equal(RUN("-p", "quiet", "k", "--params", "a=\"b c\"", "-p", ""), 0);
	assert_string_equal(cfg.params, "quiet a=\"b c\" ");
}

static void there_is_one_kernel(void **state)
{
	assert_int_equal(RUN("bzImage"), 0);
	assert_string_equal(cfg.kernel, "bzImage");
	expect_refused(RUN("a", "b"), "two kernels were given: a and b");
	expect_refused(RUN("-k", "a", "b"), "two kernels were given: a and b");
	expect_refused(RUN("a", "-k", "b"), "two kernels were given: a and b");
	expect_refused(RUN(""), "kernel is empty");
	expect_refused(RUN("--kernel="), "kernel is empty");
}

static void a_wrong_size_or_topology_is_named_with_what_it_may_be(void **state)
{
	expect_refused(RUN("-m", "12X"),
		       "--mem=12X: it is a number of MiB, or a number with one of the units");
	expect_refused(RUN("-m", ""), "--mem=: it is");
	expect_refused(RUN("-m", "99999P"), "--mem=99999P: more than 64 bits can count");
	expect_refused(RUN("-c", "0"), "--cpus=0: each number is one from 1 to 4096");
	expect_refused(RUN("-c", "4097"), "from 1 to 4096");
	expect_refused(RUN("-c", "8,cores=3"), "--cpus=8,cores=3: it is N[,sockets=S]");
}

static void a_timeout_is_whole_seconds(void **state)
{
	static const char *const wrong[] = { "",  "-1", "1.5",	      "1s",
					     "x", " 1", "2147483648", "99999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		expect_refused(RUN("--timeout", wrong[i]),
			       "it is a number of seconds up to 2147483647");
		assert_int_equal(cfg.timeout, 0);
	}
	assert_int_equal(RUN("--timeout", "2147483647"), 0);
	assert_int_equal(cfg.timeout, 2147483647);
	assert_int_equal(RUN("--timeout", "0"), 0);
}

static void a_serial_port_is_given_once(void **state)
{
	static const char *const wrong[] = { "",   "4",	 "x",	 "-1", "00", "1=",
					     "=x", "1 ", "01=x", "/",  ":" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		expect_refused(RUN("--tty", wrong[i]), "it is ID[=FILE] with a port from 0 to 3");

	assert_int_equal(RUN("--tty", "0", "--tty", "3=a=b"), 0);
	assert_string_equal(cfg.tty[0], "pty");
	assert_string_equal(cfg.tty[3], "a=b");
	expect_refused(RUN("--tty", "1", "--tty", "1=x"), "port 1 has been given pty already");
}

static void devices_are_kept_in_order_up_to_a_limit(void **state)
{
	const char *words[2 * CONFIG_MAX_DEVICES + 3];
	size_t nr = 0;

	assert_int_equal(RUN("--device", "edu", "--device=b"), 0);
	assert_int_equal(cfg.nr_devices, 2);
	assert_string_equal(cfg.device[0], "edu");
	assert_string_equal(cfg.device[1], "b");
	expect_refused(RUN("--device="), "--device needs NAME");

	while (nr < 2 * CONFIG_MAX_DEVICES) {
		words[nr++] = "--device";
		words[nr++] = "edu";
	}
	words[nr] = NULL;
	assert_int_equal(run_words(words), 0);
	assert_int_equal(cfg.nr_devices, CONFIG_MAX_DEVICES);
	words[nr++] = "--device";
	words[nr++] = "edu";
	words[nr] = NULL;
	expect_refused(run_words(words), "there are 32 already");
}

static void choices_of_run_know_their_architecture(void **state)
{
	if (option__available("powerpc")) {
		assert_int_equal(RUN("--irqchip", "xive"), 0);
		assert_int_equal(cfg.irqchip, IRQCHIP_XIVE);
	} else {
		expect_refused(RUN("--irqchip", "xive"), "--irqchip=xive is only for powerpc");
	}
	if (option__available("x86")) {
		assert_int_equal(RUN("--irqchip", "split", "--boot", "pvh"), 0);
		assert_int_equal(cfg.irqchip, IRQCHIP_SPLIT);
		assert_int_equal(cfg.boot, BOOT_PVH);
	} else {
		expect_refused(RUN("--irqchip", "split"), "--irqchip=split is only for x86");
	}
}

static void parsing_validates(void **state)
{
	char *argv[] = { (char[]){ "run" }, (char[]){ "k" }, (char[]){ "-m1B" }, NULL };

	config__free(&cfg);
	config__init(&cfg);
	messages = 0;
	assert_int_equal(config__parse_run(&cfg, 2, argv), 0);

	config__init(&cfg);
	expect_refused(config__parse_run(&cfg, 3, argv), "1B is too little");
	config__init(&cfg);
	messages = 0;
	expect_refused(config__parse_run(&cfg, 1, argv), "no kernel to boot");
}

static void the_configuration_is_printed_as_json(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(RUN("--name=a", "-p", "x=\"y\"", "-m", "1G", "--tty", "1", "--device",
			     "edu", "k"),
			 0);
	config__print_json(&cfg, out);
	fclose(out);
	assert_memory_equal(text, "{\n  \"name\": \"a\",\n", 17);
	assert_non_null(strstr(text, "\n  \"kernel\": \"k\",\n  \"initrd\": null,\n"));
	assert_non_null(strstr(text, "\n  \"params\": \"x=\\\"y\\\"\",\n"));
	assert_non_null(strstr(text, "\n  \"mem\": 1073741824,\n"));
	assert_non_null(strstr(text, "\n  \"boot\": \"auto\",\n"));
	assert_non_null(strstr(
		text, "\n  \"tty\": [\n    null,\n    \"pty\",\n    null,\n    null\n  ],\n"));
	assert_non_null(strstr(text, "\n  \"device\": [\n    \"edu\"\n  ],\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_land_in_their_fields),
		cmocka_unit_test(letters_can_be_joined_and_carry_their_argument),
		cmocka_unit_test(options_and_operands_are_taken_in_order),
		cmocka_unit_test(parsing_starts_anew_each_time),
		cmocka_unit_test(an_abbreviation_is_not_an_option),
		cmocka_unit_test(what_is_no_option_is_named),
		cmocka_unit_test(a_missing_argument_and_one_too_many_are_named),
		cmocka_unit_test(a_word_that_is_no_choice_is_answered_with_those_that_are),
		cmocka_unit_test(an_option_of_another_architecture_says_so),
		cmocka_unit_test(the_error_of_a_setter_ends_parsing),
		cmocka_unit_test(operands_are_refused_where_there_are_none),
		cmocka_unit_test(no_arguments_at_all_are_harmless),
		cmocka_unit_test(help_lists_what_this_architecture_has),
		cmocka_unit_test(help_fits_80_columns),
		cmocka_unit_test(the_manual_lists_all_architectures_and_escapes),
		cmocka_unit_test(words_say_what_each_takes),
		cmocka_unit_test(each_option_of_run_is_unique_and_complete),
		cmocka_unit_test(each_option_of_run_is_in_help_manual_and_words),
		cmocka_unit_test(options_of_run_reach_the_configuration),
		cmocka_unit_test(flags_of_run_are_off_until_given),
		cmocka_unit_test(options_of_x86_are_known_everywhere),
		cmocka_unit_test(hugetlbfs_is_another_name_of_mem_path),
		cmocka_unit_test(params_add_up),
		cmocka_unit_test(there_is_one_kernel),
		cmocka_unit_test(a_wrong_size_or_topology_is_named_with_what_it_may_be),
		cmocka_unit_test(a_timeout_is_whole_seconds),
		cmocka_unit_test(a_serial_port_is_given_once),
		cmocka_unit_test(devices_are_kept_in_order_up_to_a_limit),
		cmocka_unit_test(choices_of_run_know_their_architecture),
		cmocka_unit_test(parsing_validates),
		cmocka_unit_test(the_configuration_is_printed_as_json),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, free_config);
}
