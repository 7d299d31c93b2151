// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MC146818 real-time clock (Motorola data sheet) with 128 bytes of memory.
 *
 * Theory of operation: no counter runs. The time is the host's plus what the guest has added to it
 * by setting the clock, and the time registers are filled in when one is read. While the guest
 * holds the clock (SET, or the divider in reset) they are plain memory; letting go turns them into
 * a new difference. After a divider reset the first update comes half a second later, as drivers
 * expect that set the clock to the second.
 *
 * Flags are found out late as well: evaluate() looks how many seconds and periods have passed since
 * it last looked. So a timer is needed only while an interrupt is enabled and its line is low, and
 * then only for the next event that could raise it. A guest that does not acknowledge costs
 * nothing.
 *
 * Update in progress is shown during the 2228 µs that end with each second (tBUC + tUC of the data
 * sheet): whoever sees it clear has at least tBUC to read a consistent time.
 */
#include "kvm/hw/rtc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/hw/timer.h"
#include "kvm/irq.h"
#include "kvm/log.h"

#define PORT_INDEX 0x70
#define NR_BYTES   128
#define CRYSTAL_HZ 32768

enum {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	WEEKDAY,
	DAY,
	MONTH,
	YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
};

#define A_UIP		0x80
#define A_DIVIDER	0x70
#define A_RESET		0x60 /* both bits: the divider is held */
#define A_RATE		0x0f
#define B_SET		0x80
#define B_PIE		0x40
#define B_AIE		0x20
#define B_UIE		0x10
#define B_SQWE		0x08
#define B_BINARY	0x04
#define B_24H		0x02
#define C_IRQF		0x80
#define C_PF		0x40
#define C_AF		0x20
#define C_UF		0x10
#define C_SOURCES	(C_PF | C_AF | C_UF) /* in the order of B's enables */
#define D_VALID		0x80
#define HOURS_PM	0x80
#define ALARM_ANY	0xc0
#define A_POWER_ON	0x26 /* 32768 Hz crystal, 1024 Hz */
#define SECS_PER_DAY	86400
#define UPDATE_NS	(244000 + 1984000)
#define FIRST_UPDATE	(HW_NS_PER_SEC / 2)
#define CMOS_BASE_KIB	640
#define CMOS_LOW	0x15
#define CMOS_ABOVE_1M	0x17
#define CMOS_ABOVE_1M_2 0x30
#define CMOS_ABOVE_16M	0x34
#define CMOS_ABOVE_4G	0x5b

struct rtc_state {
	uint8_t byte[NR_BYTES];
	uint8_t index;
	uint8_t century;      /* the number itself, where no byte holds it */
	int64_t offset;	      /* guest seconds - host seconds */
	uint32_t phase_ns;    /* how far the guest's second is ahead of the host's */
	int64_t seen_second;  /* as of the last evaluate() */
	uint64_t seen_period; /* the same */
};

struct rtc {
	struct device dev;
	struct bus_region region;
	struct irq_line irq;
	struct rtc_config cfg;
	struct hw_timer timer;
	pthread_mutex_t lock; /* all below */
	struct rtc_state s;
};

struct moment {
	int64_t second;
	uint32_t ns;
};

static struct moment now(const struct rtc_state *s)
{
	int64_t ns = hw_wall_clock_ns() + s->phase_ns;

	return (struct moment){
		.second = ns / (int64_t)HW_NS_PER_SEC + s->offset,
		.ns = (uint32_t)(ns % (int64_t)HW_NS_PER_SEC),
	};
}

static void set_now(struct rtc_state *s, int64_t second, uint32_t ns)
{
	int64_t host = hw_wall_clock_ns(), sec = (int64_t)HW_NS_PER_SEC;

	s->phase_ns = (uint32_t)((ns + sec - host % sec) % sec);
	s->offset = second - (host + s->phase_ns) / sec;
	s->seen_second = second;
}

static bool divider_is_reset(uint8_t reg_a)
{
	return (reg_a & A_RESET) == A_RESET;
}

static bool is_held(const struct rtc_state *s)
{
	return s->byte[REG_B] & B_SET || divider_is_reset(s->byte[REG_A]);
}

static uint8_t encode(const struct rtc_state *s, int value)
{
	if (s->byte[REG_B] & B_BINARY)
		return (uint8_t)value;
	return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static int decode(const struct rtc_state *s, uint8_t byte)
{
	return s->byte[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 0xf);
}

static uint8_t encode_hour(const struct rtc_state *s, int hour)
{
	uint8_t pm = hour >= 12 ? HOURS_PM : 0;

	if (s->byte[REG_B] & B_24H)
		return encode(s, hour);
	return encode(s, hour % 12 ? hour % 12 : 12) | pm;
}

static int decode_hour(const struct rtc_state *s, uint8_t byte)
{
	if (s->byte[REG_B] & B_24H)
		return decode(s, byte);
	return decode(s, byte & (uint8_t)~HOURS_PM) % 12 + (byte & HOURS_PM ? 12 : 0);
}

static void set_century(struct rtc *rtc, int century)
{
	if (rtc->cfg.century)
		rtc->s.byte[rtc->cfg.century] = encode(&rtc->s, century);
	else
		rtc->s.century = (uint8_t)century;
}

static int get_century(const struct rtc *rtc)
{
	return rtc->cfg.century ? decode(&rtc->s, rtc->s.byte[rtc->cfg.century]) : rtc->s.century;
}

static void fill_time(struct rtc *rtc)
{
	struct rtc_state *s = &rtc->s;
	time_t second = now(s).second;
	struct tm tm;
	int year;

	if (!gmtime_r(&second, &tm))
		return;
	year = (tm.tm_year + 1900) % 10000;
	if (year < 0)
		year += 10000;
	s->byte[SECONDS] = encode(s, tm.tm_sec);
	s->byte[MINUTES] = encode(s, tm.tm_min);
	s->byte[HOURS] = encode_hour(s, tm.tm_hour);
	s->byte[WEEKDAY] = encode(s, tm.tm_wday + 1);
	s->byte[DAY] = encode(s, tm.tm_mday);
	s->byte[MONTH] = encode(s, tm.tm_mon + 1);
	s->byte[YEAR] = encode(s, year % 100);
	set_century(rtc, year / 100);
}

/* What a guest writes may be no date at all; timegm() carries over what is too much for a field. */
static int64_t parse_time(const struct rtc *rtc)
{
	const struct rtc_state *s = &rtc->s;
	struct tm tm = {
		.tm_sec = decode(s, s->byte[SECONDS]),
		.tm_min = decode(s, s->byte[MINUTES]),
		.tm_hour = decode_hour(s, s->byte[HOURS]),
		.tm_mday = decode(s, s->byte[DAY]),
		.tm_mon = decode(s, s->byte[MONTH]) - 1,
		.tm_year = get_century(rtc) * 100 + decode(s, s->byte[YEAR]) - 1900,
	};

	return timegm(&tm);
}

static bool alarm_byte_matches(uint8_t alarm, uint8_t value)
{
	return alarm >= ALARM_ANY || alarm == value;
}

static bool alarm_matches(const struct rtc_state *s, int64_t second)
{
	int of_day = (int)(second % SECS_PER_DAY);

	if (of_day < 0)
		of_day += SECS_PER_DAY;
	return alarm_byte_matches(s->byte[SECONDS_ALARM], encode(s, of_day % 60)) &&
	       alarm_byte_matches(s->byte[MINUTES_ALARM], encode(s, of_day / 60 % 60)) &&
	       alarm_byte_matches(s->byte[HOURS_ALARM], encode_hour(s, of_day / 3600));
}

static bool alarm_passed(const struct rtc_state *s, int64_t after, int64_t until)
{
	if (until - after > SECS_PER_DAY)
		after = until - SECS_PER_DAY;
	for (int64_t second = after + 1; second <= until; second++) {
		if (alarm_matches(s, second))
			return true;
	}
	return false;
}

/* Crystal ticks between periodic interrupts, as a power of two; negative for never. */
static int period_shift(const struct rtc_state *s)
{
	int rate = s->byte[REG_A] & A_RATE;

	if (!rate || divider_is_reset(s->byte[REG_A]))
		return -1;
	return rate <= 2 ? rate + 6 : rate - 1;
}

static uint64_t period_count(int shift)
{
	return hw_clock__ticks(hw_clock_ns(), CRYSTAL_HZ) >> shift;
}

/* Set the flags of all that has happened since the last time. */
static void evaluate(struct rtc *rtc)
{
	struct rtc_state *s = &rtc->s;
	int shift = period_shift(s);

	if (shift >= 0) {
		uint64_t period = period_count(shift);

		if (period != s->seen_period)
			s->byte[REG_C] |= C_PF;
		s->seen_period = period;
	}
	if (!is_held(s)) {
		int64_t second = now(s).second;

		if (second > s->seen_second) {
			s->byte[REG_C] |= C_UF;
			if (alarm_passed(s, s->seen_second, second))
				s->byte[REG_C] |= C_AF;
		}
		s->seen_second = second;
	}
}

static void arm_timer(struct rtc *rtc)
{
	const struct rtc_state *s = &rtc->s;
	int shift = period_shift(s);
	uint64_t deadline = UINT64_MAX;

	if (s->byte[REG_C] & C_IRQF) {
		hw_timer__clear(&rtc->timer);
		return;
	}
	if (s->byte[REG_B] & B_PIE && shift >= 0)
		deadline = hw_clock__ns((s->seen_period + 1) << shift, CRYSTAL_HZ);
	if (s->byte[REG_B] & (B_UIE | B_AIE) && !is_held(s)) {
		uint64_t tick = hw_clock_ns() + HW_NS_PER_SEC - now(s).ns;

		if (tick < deadline)
			deadline = tick;
	}
	if (deadline == UINT64_MAX)
		hw_timer__clear(&rtc->timer);
	else
		hw_timer__set(&rtc->timer, deadline);
}

static void update(struct rtc *rtc)
{
	struct rtc_state *s = &rtc->s;
	bool pending;

	evaluate(rtc);
	pending = s->byte[REG_C] & s->byte[REG_B] & C_SOURCES;
	if (pending)
		s->byte[REG_C] |= C_IRQF;
	else
		s->byte[REG_C] &= (uint8_t)~C_IRQF;
	irq_line__set(&rtc->irq, pending);
	arm_timer(rtc);
}

static void on_timer(void *ctx)
{
	struct rtc *rtc = ctx;

	pthread_mutex_lock(&rtc->lock);
	update(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static bool is_time(const struct rtc *rtc, uint8_t index)
{
	switch (index) {
	case SECONDS:
	case MINUTES:
	case HOURS:
	case WEEKDAY ... YEAR:
		return true;
	default:
		return rtc->cfg.century && index == rtc->cfg.century;
	}
}

/* A or B is about to change: settle accounts, and freeze the time or set it going. */
static void write_control(struct rtc *rtc, uint8_t index, uint8_t value)
{
	struct rtc_state *s = &rtc->s;
	bool held = is_held(s), was_reset = divider_is_reset(s->byte[REG_A]);
	int shift;

	evaluate(rtc);
	if (!held)
		fill_time(rtc);
	if (index == REG_A)
		s->byte[REG_A] = value & (uint8_t)~A_UIP;
	else
		s->byte[REG_B] = value & B_SET ? value & (uint8_t)~B_UIE : value;

	if (held && !is_held(s))
		set_now(s, parse_time(rtc), was_reset ? FIRST_UPDATE : now(s).ns);
	shift = period_shift(s);
	if (index == REG_A && shift >= 0)
		s->seen_period = period_count(shift);
	update(rtc);
}

static void write_time(struct rtc *rtc, uint8_t index, uint8_t value)
{
	struct rtc_state *s = &rtc->s;

	if (is_held(s)) {
		s->byte[index] = value;
		return;
	}
	evaluate(rtc);
	fill_time(rtc);
	s->byte[index] = value;
	set_now(s, parse_time(rtc), now(s).ns);
}

static void write_memory(struct rtc *rtc, uint8_t value)
{
	uint8_t index = rtc->s.index;

	if (is_time(rtc, index)) {
		write_time(rtc, index, value);
		return;
	}
	switch (index) {
	case REG_A:
	case REG_B:
		write_control(rtc, index, value);
		break;
	case REG_C:
	case REG_D:
		break;
	case SECONDS_ALARM:
	case MINUTES_ALARM:
	case HOURS_ALARM:
		evaluate(rtc); /* until now the old alarm counts */
			       /* fall through */
	default:
		rtc->s.byte[index] = value;
		break;
	}
}

static uint8_t read_reg_a(const struct rtc_state *s)
{
	bool updating = !is_held(s) && now(s).ns >= HW_NS_PER_SEC - UPDATE_NS;

	return s->byte[REG_A] | (updating ? A_UIP : 0);
}

static uint8_t read_reg_c(struct rtc *rtc)
{
	uint8_t flags;

	update(rtc);
	flags = rtc->s.byte[REG_C];
	rtc->s.byte[REG_C] = 0;
	update(rtc);
	return flags;
}

static uint8_t read_memory(struct rtc *rtc)
{
	struct rtc_state *s = &rtc->s;

	if (is_time(rtc, s->index) && !is_held(s))
		fill_time(rtc);
	if (s->index == REG_A)
		return read_reg_a(s);
	if (s->index == REG_C)
		return read_reg_c(rtc);
	return s->byte[s->index];
}

static void rtc_read(void *ctx, uint64_t offset, void *data, uint32_t len)
{
	struct rtc *rtc = ctx;
	uint8_t *bytes = data;

	pthread_mutex_lock(&rtc->lock);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = offset + i ? read_memory(rtc) : 0xff; /* the index is for writing */
	pthread_mutex_unlock(&rtc->lock);
}

static void rtc_write(void *ctx, uint64_t offset, const void *data, uint32_t len)
{
	struct rtc *rtc = ctx;
	const uint8_t *bytes = data;

	pthread_mutex_lock(&rtc->lock);
	for (uint32_t i = 0; i < len; i++) {
		if (offset + i)
			write_memory(rtc, bytes[i]);
		else
			rtc->s.index = bytes[i] % NR_BYTES; /* bit 7 gates NMIs */
	}
	pthread_mutex_unlock(&rtc->lock);
}

static void put_size(struct rtc_state *s, unsigned int at, unsigned int bytes, uint64_t value)
{
	uint64_t max = (1ull << 8 * bytes) - 1;

	if (value > max)
		value = max;
	for (unsigned int i = 0; i < bytes; i++)
		s->byte[at + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t above(uint64_t size, uint64_t start)
{
	return size > start ? size - start : 0;
}

/* Where PC firmware leaves the sizes of memory that it has counted. */
static void store_memory_sizes(struct rtc *rtc)
{
	struct rtc_state *s = &rtc->s;
	uint64_t low = rtc->cfg.low_ram, low_kib = low >> 10;

	put_size(s, CMOS_LOW, 2, low_kib < CMOS_BASE_KIB ? low_kib : CMOS_BASE_KIB);
	put_size(s, CMOS_ABOVE_1M, 2, above(low, 1 << 20) >> 10);
	put_size(s, CMOS_ABOVE_1M_2, 2, above(low, 1 << 20) >> 10);
	put_size(s, CMOS_ABOVE_16M, 2, above(low, 1 << 24) >> 16);
	put_size(s, CMOS_ABOVE_4G, 3, rtc->cfg.high_ram >> 16);
}

/* The battery keeps the time and the memory; only interrupts end. */
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	pthread_mutex_lock(&rtc->lock);
	write_control(rtc, REG_A, A_POWER_ON);
	write_control(rtc, REG_B, B_24H);
	rtc->s.byte[REG_C] = 0;
	rtc->s.index = 0;
	store_memory_sizes(rtc);
	update(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static int rtc_realize(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;
	int ret = hw_timer__init(&rtc->timer, dev->host->loop, on_timer, rtc);

	if (ret)
		return ret;
	ret = bus__add(dev->host->bus, BUS_PIO, &rtc->region);
	if (ret)
		pr_fatal("%s: cannot claim ports 0x70-0x71: %s", dev->name, strerror(-ret));
	return ret;
}

static void rtc_unrealize(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	bus__remove(dev->host->bus, BUS_PIO, &rtc->region);
	hw_timer__destroy(&rtc->timer);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct device_ops rtc_ops = {
	.kind = "rtc",
	.realize = rtc_realize,
	.reset = rtc_reset,
	.unrealize = rtc_unrealize,
};

struct device *rtc__create(const struct device_host *host, const struct rtc_config *cfg)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return NULL;
	rtc->dev.ops = &rtc_ops;
	rtc->dev.host = host;
	snprintf(rtc->dev.name, sizeof(rtc->dev.name), "rtc");
	rtc->region = (struct bus_region){
		.base = PORT_INDEX,
		.size = 2,
		.read = rtc_read,
		.write = rtc_write,
		.ctx = rtc,
		.name = "real-time clock",
	};
	rtc->cfg = *cfg;
	rtc->cfg.century %= NR_BYTES;
	rtc->timer.fd = -1;
	rtc->s.byte[REG_A] = A_POWER_ON;
	rtc->s.byte[REG_B] = B_24H;
	rtc->s.byte[REG_D] = D_VALID;
	rtc->s.seen_second = now(&rtc->s).second;
	irq_line__init(&rtc->irq, host->irq, cfg->gsi);
	pthread_mutex_init(&rtc->lock, NULL);
	return &rtc->dev;
}
