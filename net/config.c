// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The argument of -n: what kind of network and how.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/log.h"
#include "kvm/net.h"

#define KEYS                                                                        \
	"mode, guest_ip, host_ip, guest_mac, host_mac, script, downscript, tapif, " \
	"fd, vhost, mq, stack, forward"

/* Of what makes sense in only one mode, what was given; for messages. */
struct given {
	const char *tap_only;
	const char *user_only;
	bool mode;
};

static int wrong(const char *key, const char *value, const char *wanted)
{
	pr_fatal("--network %s=%s: %s", key, value, wanted);
	return -EINVAL;
}

static int parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return errno || *end || *out > max ? -EINVAL : 0;
}

static int parse_mode(const char *value, enum net_mode *mode)
{
	if (!strcmp(value, "user"))
		*mode = NET_MODE_USER;
	else if (!strcmp(value, "tap"))
		*mode = NET_MODE_TAP;
	else if (!strcmp(value, "none"))
		*mode = NET_MODE_NONE;
	else
		return -EINVAL;
	return 0;
}

static int parse_stack(const char *value, enum net_stack *stack)
{
	if (!strcmp(value, "passt"))
		*stack = NET_STACK_PASST;
	else if (!strcmp(value, "slirp"))
		*stack = NET_STACK_SLIRP;
	else
		return -EINVAL;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_mac(const char *value, uint8_t mac[NET_MAC_LEN])
{
	static const uint8_t zero[NET_MAC_LEN];

	for (unsigned int i = 0; i < NET_MAC_LEN; i++, value += 3) {
		int high = hex_digit(value[0]);
		int low = high < 0 ? -1 : hex_digit(value[1]);

		if (low < 0 || value[2] != (i < NET_MAC_LEN - 1 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return mac[0] & 1 || !memcmp(mac, zero, sizeof(zero)) ? -EINVAL : 0;
}

static int parse_ip(const char *value, struct in_addr *ip)
{
	return inet_pton(AF_INET, value, ip) == 1 && ip->s_addr != INADDR_ANY ? 0 : -EINVAL;
}

static int parse_name(const char *value, const char **name)
{
	size_t len = strlen(value);

	if (!len || len > NET_NAME_MAX || strpbrk(value, "/% \t\n:") || !strcmp(value, ".") ||
	    !strcmp(value, ".."))
		return -EINVAL;
	*name = value;
	return 0;
}

static int parse_fds(char *value, struct net_config *cfg)
{
	char *rest = value;

	cfg->nr_fds = 0;
	while (rest) {
		char *one = strsep(&rest, ":");
		unsigned long fd;

		if (cfg->nr_fds == NET_MAX_PAIRS || parse_number(one, INT32_MAX, &fd))
			return -EINVAL;
		cfg->fd[cfg->nr_fds++] = (int)fd;
	}
	return 0;
}

static int parse_forward(char *value, struct net_config *cfg)
{
	struct net_forward forward = { 0 };
	const char *protocol = strsep(&value, ":");
	const char *host = strsep(&value, ":");
	unsigned long host_port, guest_port;

	if (!host || !value || cfg->nr_forwards == NET_MAX_FORWARDS)
		return -EINVAL;
	if (!strcmp(protocol, "udp"))
		forward.udp = true;
	else if (strcmp(protocol, "tcp"))
		return -EINVAL;
	if (parse_number(host, UINT16_MAX, &host_port) ||
	    parse_number(value, UINT16_MAX, &guest_port) || !host_port || !guest_port)
		return -EINVAL;
	forward.host_port = (uint16_t)host_port;
	forward.guest_port = (uint16_t)guest_port;

	for (unsigned int i = 0; i < cfg->nr_forwards; i++) {
		if (cfg->forward[i].udp == forward.udp &&
		    cfg->forward[i].host_port == forward.host_port)
			return -EEXIST;
	}
	cfg->forward[cfg->nr_forwards++] = forward;
	return 0;
}

static int set_forward(struct net_config *cfg, char *value)
{
	char whole[64];
	int ret;

	strncpy(whole, value, sizeof(whole) - 1);
	whole[sizeof(whole) - 1] = '\0';
	ret = parse_forward(value, cfg);
	if (ret == -EEXIST)
		return wrong("forward", whole, "this port of the host is forwarded already");
	if (ret && cfg->nr_forwards == NET_MAX_FORWARDS)
		return wrong("forward", whole, "at most 64 ports can be forwarded");
	if (ret)
		return wrong("forward", whole,
			     "not tcp:HOSTPORT:GUESTPORT or udp:HOSTPORT:GUESTPORT with "
			     "ports from 1 to 65535");
	return 0;
}

static int set_fds(struct net_config *cfg, char *value)
{
	char whole[64];

	strncpy(whole, value, sizeof(whole) - 1);
	whole[sizeof(whole) - 1] = '\0';
	if (parse_fds(value, cfg))
		return wrong("fd", whole, "not a descriptor, or up to 16 of them with ':' between");
	return 0;
}

static int set_pairs(struct net_config *cfg, const char *value)
{
	unsigned long pairs;

	if (parse_number(value, NET_MAX_PAIRS, &pairs) || !pairs)
		return wrong("mq", value, "not a number of queue pairs from 1 to 16");
	cfg->pairs = (unsigned int)pairs;
	return 0;
}

static int set_vhost(struct net_config *cfg, const char *value)
{
	unsigned long on;

	if (parse_number(value, 1, &on))
		return wrong("vhost", value, "neither 0 nor 1");
	cfg->vhost = on;
	return 0;
}

static int set_common(struct net_config *cfg, struct given *given, const char *key,
		      const char *value)
{
	if (!strcmp(key, "mode")) {
		given->mode = true;
		return parse_mode(value, &cfg->mode)
			       ? wrong(key, value, "neither user nor tap nor none")
			       : 0;
	}
	if (!strcmp(key, "guest_mac")) {
		cfg->has_mac = true;
		return parse_mac(value, cfg->guest_mac)
			       ? wrong(key, value, "not a unicast address like 02:00:00:00:00:01")
			       : 0;
	}
	if (!strcmp(key, "guest_ip"))
		return parse_ip(value, &cfg->guest_ip) ? wrong(key, value, "not an IPv4 address")
						       : 0;
	if (!strcmp(key, "host_ip"))
		return parse_ip(value, &cfg->host_ip) ? wrong(key, value, "not an IPv4 address")
						      : 0;
	return -ENOENT;
}

static int set_user(struct net_config *cfg, struct given *given, const char *key, char *value)
{
	if (!strcmp(key, "forward")) {
		given->user_only = "forward";
		return set_forward(cfg, value);
	}
	if (!strcmp(key, "stack")) {
		given->user_only = "stack";
		return parse_stack(value, &cfg->stack)
			       ? wrong(key, value, "neither passt nor slirp")
			       : 0;
	}
	return -ENOENT;
}

static int set_program(const char **program, const char *key, const char *value)
{
	if (!*value)
		return wrong(key, value, "no file name");
	/* kvmtool's word for "no script". */
	*program = strcmp(value, "none") ? value : NULL;
	return 0;
}

static int set_tap_value(struct net_config *cfg, const char *key, char *value)
{
	if (!strcmp(key, "script"))
		return set_program(&cfg->script, key, value);
	if (!strcmp(key, "downscript"))
		return set_program(&cfg->downscript, key, value);
	if (!strcmp(key, "fd"))
		return set_fds(cfg, value);
	if (!strcmp(key, "vhost"))
		return set_vhost(cfg, value);
	if (!strcmp(key, "mq"))
		return set_pairs(cfg, value);
	if (!strcmp(key, "host_mac")) {
		cfg->has_host_mac = true;
		return parse_mac(value, cfg->host_mac)
			       ? wrong(key, value, "not a unicast address like 02:00:00:00:00:01")
			       : 0;
	}
	if (!strcmp(key, "tapif"))
		return parse_name(value, &cfg->tapif)
			       ? wrong(key, value,
				       "not the name of an interface (at most 15 characters)")
			       : 0;
	return -ENOENT;
}

static int set_tap(struct net_config *cfg, struct given *given, const char *key, char *value)
{
	int ret = set_tap_value(cfg, key, value);

	if (!ret)
		given->tap_only = key;
	return ret;
}

static int set_piece(struct net_config *cfg, struct given *given, char *piece, bool first)
{
	char *value = strchr(piece, '=');
	int ret;

	if (!value && first && !parse_mode(piece, &cfg->mode)) {
		given->mode = true;
		return 0;
	}
	if (!value) {
		pr_fatal("--network: '%s' is not KEY=VALUE; keys are " KEYS, piece);
		return -EINVAL;
	}
	*value++ = '\0';
	ret = set_common(cfg, given, piece, value);
	if (ret == -ENOENT)
		ret = set_user(cfg, given, piece, value);
	if (ret == -ENOENT)
		ret = set_tap(cfg, given, piece, value);
	if (ret == -ENOENT) {
		pr_fatal("--network: no key '%s'; keys are " KEYS, piece);
		ret = -EINVAL;
	}
	return ret;
}

static int refuse(const char *what)
{
	pr_fatal("--network: %s", what);
	return -EINVAL;
}

static int settle_fds(struct net_config *cfg, bool pairs_given)
{
	if (!cfg->nr_fds)
		return 0;
	if (cfg->tapif)
		return refuse("fd= brings its interface with it: leave out tapif=");
	if (pairs_given && cfg->pairs != cfg->nr_fds)
		return refuse("mq= differs from the number of descriptors in fd=: leave it out");
	cfg->pairs = cfg->nr_fds;
	for (unsigned int i = 0; i < cfg->nr_fds; i++) {
		for (unsigned int j = 0; j < i; j++) {
			if (cfg->fd[i] == cfg->fd[j])
				return refuse("fd= names a descriptor twice");
		}
	}
	return 0;
}

/* What the keys mean together. */
static int settle(struct net_config *cfg, const struct given *given, bool pairs_given)
{
	if (!given->mode && given->tap_only)
		cfg->mode = NET_MODE_TAP;
	if (cfg->mode != NET_MODE_TAP && given->tap_only) {
		pr_fatal("--network: %s= is for mode=tap", given->tap_only);
		return -EINVAL;
	}
	if (cfg->mode != NET_MODE_USER && given->user_only) {
		pr_fatal("--network: %s= is for mode=user", given->user_only);
		return -EINVAL;
	}
	return settle_fds(cfg, pairs_given);
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

void net_config__init(struct net_config *cfg)
{
	*cfg = (struct net_config){ .mode = NET_MODE_USER, .pairs = 1 };
}

void net_config__free(struct net_config *cfg)
{
	free(cfg->text);
	cfg->text = NULL;
}

int net__parse(const char *text, struct net_config *cfg)
{
	struct given given = { 0 };
	char *at;
	int ret = 0;

	net_config__init(cfg);
	cfg->pairs = 0;
	cfg->text = strdup(text);
	if (!cfg->text) {
		pr_fatal("--network: no memory");
		return -ENOMEM;
	}
	at = *text ? cfg->text : NULL;
	while (at && !ret) {
		char *piece = next_piece(&at);

		ret = set_piece(cfg, &given, piece, piece == cfg->text);
	}
	if (!ret)
		ret = settle(cfg, &given, cfg->pairs);
	if (!cfg->pairs)
		cfg->pairs = 1;
	return ret;
}

void net__default_mac(const char *guest, unsigned int index, uint8_t mac[NET_MAC_LEN])
{
	uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a, 64 bits */

	for (; *guest; guest++)
		hash = (hash ^ (uint8_t)*guest) * 0x100000001b3ull;
	for (unsigned int i = 0; i < 4; i++)
		hash = (hash ^ (index >> 8 * i & 0xff)) * 0x100000001b3ull;
	hash ^= hash >> 40;
	mac[0] = 0x02; /* locally administered, unicast */
	for (unsigned int i = 1; i < NET_MAC_LEN; i++)
		mac[i] = (uint8_t)(hash >> 8 * (i - 1));
}
