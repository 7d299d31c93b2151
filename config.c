// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What was asked for: defaults, numbers as people write them, and the checks that need no host.
 */
#include "kvm/config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/log.h"

void config__init(struct vm_config *cfg)
{
	*cfg = (struct vm_config){
		.dev = "/dev/kvm",
		.default_params = true,
		.ram_size = CONFIG_DEFAULT_RAM,
		.cpus = { .nr = 1, .sockets = 1, .cores = 1, .threads = 1 },
		.cpu_model = "host",
	};
	snprintf(cfg->name_buf, sizeof(cfg->name_buf), "guest-%d", (int)getpid());
	cfg->name = cfg->name_buf;
}

static void free_args(struct arg_list *list)
{
	free(list->arg);
	*list = (struct arg_list){ 0 };
}

void config__free(struct vm_config *cfg)
{
	free(cfg->params);
	cfg->params = NULL;
	free_args(&cfg->disk);
	free_args(&cfg->network);
	free_args(&cfg->p9);
	free_args(&cfg->fs);
}

int config__parse_number(const char *text, uint64_t max, uint64_t *value)
{
	const int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL; /* strtoull would skip blanks and take a sign */

	errno = 0;
	number = strtoull(text, &end, base);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE || number > max)
		return -ERANGE;
	*value = number;
	return 0;
}

int config__parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "BKMGTP";
	const size_t len = strlen(text);
	const char *unit = len ? strchr(units, toupper((unsigned char)text[len - 1])) : NULL;
	const size_t digits = unit ? len - 1 : len;
	unsigned int shift = unit ? (unsigned int)(unit - units) * 10 : 20;
	uint64_t number;
	char buf[32];
	int ret;

	if (digits >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, digits);
	buf[digits] = '\0';

	ret = config__parse_number(buf, UINT64_MAX, &number);
	if (ret)
		return ret;
	return __builtin_mul_overflow(number, 1ull << shift, bytes) ? -ERANGE : 0;
}

static int parse_count(const char *text, unsigned int *count)
{
	uint64_t number;
	int ret = config__parse_number(text, CONFIG_MAX_VCPUS, &number);

	if (ret)
		return ret;
	if (!number)
		return -ERANGE;
	*count = (unsigned int)number;
	return 0;
}

/* "cores=2" and the like; each at most once. */
static int parse_topology_part(const char *text, struct cpu_topology *topology)
{
	static const struct {
		const char *key;
		size_t offset;
	} parts[] = {
		{ "sockets=", offsetof(struct cpu_topology, sockets) },
		{ "cores=", offsetof(struct cpu_topology, cores) },
		{ "threads=", offsetof(struct cpu_topology, threads) },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		unsigned int *count = (unsigned int *)((char *)topology + parts[i].offset);
		const size_t len = strlen(parts[i].key);

		if (!strncmp(text, parts[i].key, len))
			return *count ? -EINVAL : parse_count(text + len, count);
	}
	return -EINVAL;
}

static bool topology_is_consistent(const struct cpu_topology *topology)
{
	uint64_t product;

	return !__builtin_mul_overflow((uint64_t)topology->sockets * topology->cores,
				       topology->threads, &product) &&
	       product == topology->nr;
}

int config__parse_cpus(const char *text, struct cpu_topology *topology)
{
	struct cpu_topology parsed = { 0 };
	char buf[128], *rest = buf;
	int ret;

	if (strlen(text) >= sizeof(buf))
		return -EINVAL;
	strcpy(buf, text);

	ret = parse_count(strsep(&rest, ","), &parsed.nr);
	while (!ret && rest)
		ret = parse_topology_part(strsep(&rest, ","), &parsed);
	if (ret)
		return ret;

	if (!parsed.cores)
		parsed.cores = 1;
	if (!parsed.threads)
		parsed.threads = 1;
	if (!parsed.sockets)
		parsed.sockets = parsed.nr / parsed.cores / parsed.threads;
	if (!topology_is_consistent(&parsed))
		return -EINVAL;
	*topology = parsed;
	return 0;
}

/* The name becomes a file name: it must not lead anywhere else, nor look like an option. */
static int validate_name(const char *name)
{
	const size_t len = strlen(name);

	if (len && len <= CONFIG_MAX_NAME && *name != '.' && *name != '-' &&
	    name[strspn(name,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
		    '\0')
		return 0;
	pr_fatal("--name: '%s' is not a name: 1 to %d letters, digits, '.', '_' or '-', beginning "
		 "with a "
		 "letter, a digit or '_'",
		 name, CONFIG_MAX_NAME);
	return -EINVAL;
}

static int validate_cpus(const struct cpu_topology *cpus)
{
	if (!cpus->nr || cpus->nr > CONFIG_MAX_VCPUS) {
		pr_fatal("--cpus: %u vCPUs; a guest has 1 to %d", cpus->nr, CONFIG_MAX_VCPUS);
		return -EINVAL;
	}
	if (!topology_is_consistent(cpus)) {
		pr_fatal("--cpus: %u sockets of %u cores of %u threads are not %u vCPUs",
			 cpus->sockets, cpus->cores, cpus->threads, cpus->nr);
		return -EINVAL;
	}
	return 0;
}

static int validate_memory(const struct vm_config *cfg)
{
	const unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
	const unsigned long long size = cfg->ram_size;

	if (size < CONFIG_MIN_RAM)
		pr_fatal("--mem: %lluB is too little: a guest needs 1M at the least", size);
	else if (size > CONFIG_MAX_RAM)
		pr_fatal("--mem: %lluB is more than a process can map: %lluT at the most", size,
			 CONFIG_MAX_RAM >> 40);
	else if (size % page)
		pr_fatal("--mem: %lluB is not a multiple of this host's pages of %lu", size, page);
	else
		return 0;
	return -EINVAL;
}

/* Each port that asks for a pty gets its own; a file cannot serve two. */
static bool tty_can_be_shared(const char *tty)
{
	return !tty || !strcmp(tty, "pty") || !strcmp(tty, "null");
}

static int validate_ttys(const struct vm_config *cfg)
{
	for (int i = 0; i < CONFIG_MAX_TTYS; i++) {
		for (int j = 0; j < i; j++) {
			if (tty_can_be_shared(cfg->tty[i]) || tty_can_be_shared(cfg->tty[j]) ||
			    strcmp(cfg->tty[i], cfg->tty[j]) != 0)
				continue;
			pr_fatal("--tty: ports %d and %d cannot share %s", j, i, cfg->tty[i]);
			return -EINVAL;
		}
	}
	return 0;
}

int config__validate(const struct vm_config *cfg)
{
	int ret;

	if (!cfg->kernel) {
		pr_fatal("no kernel to boot: 'lkvm run FILE', or --kernel FILE");
		return -EINVAL;
	}

	ret = validate_name(cfg->name);
	if (!ret)
		ret = validate_cpus(&cfg->cpus);
	if (!ret)
		ret = validate_memory(cfg);
	if (!ret)
		ret = validate_ttys(cfg);
	return ret;
}
