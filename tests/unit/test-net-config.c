// SPDX-License-Identifier: GPL-2.0-or-later
/* What -n understands, what it refuses and in which words, and which address a guest gets. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "kvm/net.h"
#include "net-capture.h"

static struct net_config cfg;

static int parse(const char *text)
{
	net_config__free(&cfg);
	return net__parse(text, &cfg);
}

static int forget(void **state)
{
	net_config__free(&cfg);
	return 0;
}

/* Refused, with a message that says @why. */
static void refuse(const char *text, const char *why)
{
	struct capture capture;
	char words[512];
	int ret;

	capture__begin(&capture);
	ret = parse(text);
	capture__end(&capture, words, sizeof(words));
	if (ret != -EINVAL || !strstr(words, why))
		fail_msg("'%s': %d, %s", text, ret, words);
}

static void nothing_means_user_mode_with_one_pair(void **state)
{
	assert_int_equal(parse(""), 0);
	assert_int_equal(cfg.mode, NET_MODE_USER);
	assert_int_equal(cfg.stack, NET_STACK_AUTO);
	assert_int_equal(cfg.pairs, 1);
	assert_false(cfg.has_mac);
	assert_int_equal(cfg.guest_ip.s_addr, INADDR_ANY);
}

static void the_mode_may_stand_alone_in_front(void **state)
{
	assert_int_equal(parse("none"), 0);
	assert_int_equal(cfg.mode, NET_MODE_NONE);
	assert_int_equal(parse("tap,tapif=t0"), 0);
	assert_int_equal(cfg.mode, NET_MODE_TAP);
	assert_string_equal(cfg.tapif, "t0");
	refuse("tapif=t0,tap", "'tap' is not KEY=VALUE");
}

static void all_keys_of_kvmtool_are_understood(void **state)
{
	static const uint8_t mac[] = { 0x02, 0x15, 0x15, 0x15, 0x15, 0xAf };

	assert_int_equal(parse("mode=tap,guest_ip=10.0.0.2,host_ip=10.0.0.1,script=/bin/up,"
			       "downscript=/bin/down,tapif=tap0,vhost=1,mq=4,"
			       "guest_mac=02:15:15:15:15:aF,host_mac=02:00:00:00:00:01"),
			 0);
	assert_int_equal(cfg.mode, NET_MODE_TAP);
	assert_int_equal(cfg.guest_ip.s_addr, inet_addr("10.0.0.2"));
	assert_int_equal(cfg.host_ip.s_addr, inet_addr("10.0.0.1"));
	assert_string_equal(cfg.script, "/bin/up");
	assert_string_equal(cfg.downscript, "/bin/down");
	assert_string_equal(cfg.tapif, "tap0");
	assert_true(cfg.vhost);
	assert_int_equal(cfg.pairs, 4);
	assert_true(cfg.has_mac && cfg.has_host_mac);
	assert_memory_equal(cfg.guest_mac, mac, sizeof(mac));
}

static void a_key_of_tap_makes_it_a_tap(void **state)
{
	assert_int_equal(parse("tapif=tap0"), 0);
	assert_int_equal(cfg.mode, NET_MODE_TAP);
	assert_int_equal(parse("script=none"), 0);
	assert_int_equal(cfg.mode, NET_MODE_TAP);
	assert_null(cfg.script);
	refuse("mode=user,tapif=tap0", "tapif= is for mode=tap");
	refuse("mode=none,forward=tcp:1:2", "forward= is for mode=user");
	refuse("tapif=x,forward=tcp:1:2", "forward= is for mode=user");
}

static void a_doubled_comma_is_a_comma(void **state)
{
	assert_int_equal(parse("script=/a,,b,tapif=t"), 0);
	assert_string_equal(cfg.script, "/a,b");
	assert_string_equal(cfg.tapif, "t");
}

static void descriptors_are_as_many_as_pairs(void **state)
{
	assert_int_equal(parse("fd=7"), 0);
	assert_int_equal(cfg.nr_fds, 1);
	assert_int_equal(cfg.pairs, 1);
	assert_int_equal(parse("fd=7:8:9"), 0);
	assert_int_equal(cfg.pairs, 3);
	assert_int_equal(cfg.fd[2], 9);
	assert_int_equal(parse("fd=7:8,mq=2"), 0);
	refuse("fd=7:8,mq=3", "mq= differs");
	refuse("fd=7:7", "twice");
	refuse("fd=7,tapif=t", "leave out tapif=");
	refuse("fd=", "fd=: not a descriptor");
	refuse("fd=7:", "not a descriptor");
	refuse("fd=-1", "not a descriptor");
	refuse("fd=99999999999", "not a descriptor");
	refuse("fd=0:1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16", "not a descriptor");
}

static void ports_are_forwarded(void **state)
{
	char many[2048] = "";

	assert_int_equal(parse("forward=tcp:2222:22,forward=udp:53:5353,forward=udp:2222:1"), 0);
	assert_int_equal(cfg.mode, NET_MODE_USER);
	assert_int_equal(cfg.nr_forwards, 3);
	assert_false(cfg.forward[0].udp);
	assert_int_equal(cfg.forward[0].host_port, 2222);
	assert_int_equal(cfg.forward[0].guest_port, 22);
	assert_true(cfg.forward[1].udp);
	refuse("forward=tcp:1", "forward=tcp:1: not tcp:HOSTPORT:GUESTPORT");
	refuse("forward=sctp:1:2", "not tcp:");
	refuse("forward=tcp:0:2", "not tcp:");
	refuse("forward=tcp:1:65536", "not tcp:");
	refuse("forward=tcp:1:2:3", "not tcp:");
	refuse("forward=tcp:+1:2", "not tcp:");
	refuse("forward=tcp: 1:2", "not tcp:");
	refuse("forward=", "not tcp:");
	refuse("forward=tcp:5:6,forward=tcp:5:7", "forwarded already");
	for (unsigned int i = 1; i <= NET_MAX_FORWARDS + 1; i++) {
		char one[32];

		snprintf(one, sizeof(one), "%sforward=tcp:%u:1", i > 1 ? "," : "", i);
		strcat(many, one);
	}
	refuse(many, "at most 64");
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
	refuse("mode=bridge", "mode=bridge: neither user nor tap nor none");
	refuse("speed=1", "no key 'speed'; keys are mode, guest_ip");
	refuse("mode=user,", "'' is not KEY=VALUE");
	refuse("guest_ip=1.2.3", "guest_ip=1.2.3: not an IPv4 address");
	refuse("guest_ip=0.0.0.0", "not an IPv4 address");
	refuse("host_ip=1.2.3.4.5", "not an IPv4 address");
	refuse("guest_mac=01:00:00:00:00:01", "unicast");
	refuse("guest_mac=00:00:00:00:00:00", "unicast");
	refuse("guest_mac=02:00:00:00:00", "unicast");
	refuse("guest_mac=02:00:00:00:00:01:02", "unicast");
	refuse("guest_mac=02-00-00-00-00-01", "unicast");
	refuse("guest_mac=2:0:0:0:0:1", "unicast");
	refuse("guest_mac=", "unicast");
	refuse("mq=0", "from 1 to 16");
	refuse("mq=17", "from 1 to 16");
	refuse("vhost=2", "neither 0 nor 1");
	refuse("vhost=yes", "neither 0 nor 1");
	refuse("tapif=sixteencharacter", "at most 15");
	refuse("tapif=../../x", "at most 15");
	refuse("tapif=tap%d", "at most 15");
	refuse("tapif=", "at most 15");
	refuse("script=", "no file name");
	refuse("stack=lwip", "neither passt nor slirp");
}

static void a_guest_keeps_its_address(void **state)
{
	uint8_t a[NET_MAC_LEN], b[NET_MAC_LEN];

	net__default_mac("guest", 0, a);
	net__default_mac("guest", 0, b);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(a[0] & 3, 2);
	net__default_mac("guest", 1, b);
	assert_memory_not_equal(a, b, sizeof(a));
	net__default_mac("guest2", 0, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void guests_of_like_names_have_different_addresses(void **state)
{
	uint8_t seen[1000][NET_MAC_LEN];

	for (unsigned int i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "guest-%u", i);
		net__default_mac(name, 0, seen[i]);
		for (unsigned int j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], NET_MAC_LEN);
	}
}

#define rule(test) cmocka_unit_test_teardown(test, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		rule(nothing_means_user_mode_with_one_pair),
		rule(the_mode_may_stand_alone_in_front),
		rule(all_keys_of_kvmtool_are_understood),
		rule(a_key_of_tap_makes_it_a_tap),
		rule(a_doubled_comma_is_a_comma),
		rule(descriptors_are_as_many_as_pairs),
		rule(ports_are_forwarded),
		rule(what_makes_no_sense_is_refused_by_name),
		rule(a_guest_keeps_its_address),
		rule(guests_of_like_names_have_different_addresses),
	};

	return cmocka_run_group_tests_name("net-config", tests, NULL, NULL);
}
