// SPDX-License-Identifier: GPL-2.0-or-later
/* The argument of -d: a file name and what to make of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/disk.h"
#include "kvm/log.h"

#define SYNTAX                                                                      \
	"FILE[,ro][,direct][,snapshot][,queues=N][,format=raw|qcow2][,serial=TEXT]" \
	"[,engine=aio|uring|threads]"

struct word {
	const char *name;
	unsigned int value;
};

static const struct word formats[] = {
	{ "raw", DISK_FORMAT_RAW },
	{ "qcow2", DISK_FORMAT_QCOW2 },
	{ NULL, 0 },
};

static const struct word engines[] = {
	{ "aio", DISK_ENGINE_AIO },
	{ "uring", DISK_ENGINE_URING },
	{ "threads", DISK_ENGINE_THREADS },
	{ NULL, 0 },
};

static int choose(const struct word *words, const char *value, unsigned int *out)
{
	for (; words->name; words++) {
		if (!strcmp(words->name, value)) {
			*out = words->value;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_queues(const char *value, unsigned int *out)
{
	char *end;
	unsigned long n;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || !n || n > DISK_MAX_QUEUES)
		return -EINVAL;
	*out = (unsigned int)n;
	return 0;
}

static int parse_serial(const char *value, char *serial)
{
	size_t len = strlen(value);

	if (!len || len > DISK_SERIAL_MAX)
		return -EINVAL;
	memcpy(serial, value, len);
	return 0;
}

static int set_value(struct disk_spec *spec, const char *key, const char *value)
{
	unsigned int choice = 0;
	int ret = -EINVAL;

	if (!strcmp(key, "queues"))
		return parse_queues(value, &spec->queues);
	if (!strcmp(key, "serial"))
		return parse_serial(value, spec->serial);
	if (!strcmp(key, "format")) {
		ret = choose(formats, value, &choice);
		spec->format = (enum disk_format)choice;
	} else if (!strcmp(key, "engine")) {
		ret = choose(engines, value, &choice);
		spec->engine = (enum disk_engine_type)choice;
	}
	return ret;
}

static int set_flag(struct disk_spec *spec, const char *key)
{
	if (!strcmp(key, "ro"))
		spec->read_only = true;
	else if (!strcmp(key, "direct"))
		spec->direct = true;
	else if (!strcmp(key, "snapshot"))
		spec->snapshot = true;
	else
		return -EINVAL;
	return 0;
}

/* Cut the next piece off @at, a doubled comma being one of its characters. */
static char *next_piece(char **at)
{
	char *start = *at, *from = start, *to = start;

	while (*from) {
		if (*from == ',' && from[1] != ',')
			break;
		if (*from == ',')
			from++;
		*to++ = *from++;
	}
	*at = *from ? from + 1 : NULL;
	*to = '\0';
	return start;
}

static int parse_pieces(struct disk_spec *spec, char *at, const char *arg)
{
	while (at) {
		char *key = next_piece(&at);
		char *value = strchr(key, '=');
		int ret;

		if (value) {
			*value++ = '\0';
			ret = set_value(spec, key, value);
		} else {
			ret = set_flag(spec, key);
		}
		if (ret) {
			pr_fatal("Disk \"%s\": cannot make sense of \"%s%s%s\"; it is " SYNTAX, arg,
				 key, value ? "=" : "", value ? value : "");
			return ret;
		}
	}
	return 0;
}

int disk_spec__parse(struct disk_spec *spec, const char *arg)
{
	char *copy = strdup(arg), *at = copy;
	int ret;

	*spec = (struct disk_spec){ .queues = 0 };
	if (!copy) {
		pr_fatal("Disk \"%s\": no memory", arg);
		return -ENOMEM;
	}
	spec->path = strdup(next_piece(&at));
	if (!spec->path) {
		pr_fatal("Disk \"%s\": no memory", arg);
		ret = -ENOMEM;
	} else if (!*spec->path) {
		pr_fatal("Disk \"%s\": a file name comes first; it is " SYNTAX, arg);
		ret = -EINVAL;
	} else {
		ret = parse_pieces(spec, at, arg);
	}
	free(copy);
	return ret;
}

void disk_spec__free(struct disk_spec *spec)
{
	free(spec->path);
	spec->path = NULL;
}
