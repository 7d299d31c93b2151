// SPDX-License-Identifier: GPL-2.0-or-later
/* WRAP: pr_fatal pr_info pr_warn decompress__supported */
/* A bzImage is unpacked here or in the guest as the boot protocol has it; a bad one is refused by
 * name. */
#include "boot-rig.h"

#define SETUP_SECTS    4
#define SETUP_SIZE     ((SETUP_SECTS + 1) * 512u)
#define PAYLOAD_OFFSET 0x2ccu
#define INIT_SIZE      (16u << 20)
#define INIT_END       (KERNEL_GPA + INIT_SIZE)
#define CMDLINE_SIZE   2047

static enum compression missing_library;

bool __real_decompress__supported(enum compression type);
bool __wrap_decompress__supported(enum compression type);
bool __wrap_decompress__supported(enum compression type)
{
	return type != missing_library && __real_decompress__supported(type);
}

static const enum compression all[] = {
	COMPRESSION_GZIP, COMPRESSION_BZIP2, COMPRESSION_XZ,   COMPRESSION_LZMA,
	COMPRESSION_LZO,  COMPRESSION_LZ4,   COMPRESSION_ZSTD,
};

static struct setup_header *header_of(struct bytes image)
{
	return (struct setup_header *)(image.data + 0x1f1);
}

/* Around a payload, which is taken as it is: a header of protocol 2.15, like that of a present
 * kernel. */
static struct bytes wrap(struct bytes payload)
{
	size_t pm_size = (PAYLOAD_OFFSET + payload.size + 15) & ~15ull;
	struct bytes image = bytes__new(SETUP_SIZE + pm_size);

	memset(image.data, 0xee, SETUP_SIZE); /* what must not get into the zero page */
	memset(image.data + SETUP_SIZE, 0x90, PAYLOAD_OFFSET);
	*header_of(image) = (struct setup_header){
		.setup_sects = SETUP_SECTS,
		.syssize = (uint32_t)(pm_size / 16),
		.vid_mode = 0xffff,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb,
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.code32_start = 0x100000,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.min_alignment = 21,
		.xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G,
		.cmdline_size = CMDLINE_SIZE,
		.payload_offset = PAYLOAD_OFFSET,
		.payload_length = (uint32_t)payload.size,
		.pref_address = KERNEL_GPA,
		.init_size = INIT_SIZE,
	};
	memcpy(image.data + SETUP_SIZE + PAYLOAD_OFFSET, payload.data, payload.size);
	return image;
}

/* A kernel's build appends the length; gzip has it there already. */
static struct bytes make_payload(enum compression type, struct bytes content, uint32_t declared)
{
	struct bytes packed = pack(type, content.data, content.size), payload;
	bool append = type != COMPRESSION_GZIP;

	payload = bytes__new(packed.size + (append ? 4 : 0));
	memcpy(payload.data, packed.data, packed.size);
	memcpy(payload.data + payload.size - 4, &declared, 4);
	bytes__free(&packed);
	return payload;
}

static struct bytes make_image_of(enum compression type, struct bytes content, uint32_t declared)
{
	struct bytes payload = make_payload(type, content, declared), image = wrap(payload);

	bytes__free(&payload);
	return image;
}

static struct bytes make_image(enum compression type)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes content = elf__make(&spec), image;

	image = make_image_of(type, content, (uint32_t)content.size);
	bytes__free(&content);
	return image;
}

/* Any one that there is a library for. */
static struct bytes any_image(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (__real_decompress__supported(all[i]))
			return make_image(all[i]);
	print_message("SKIP: built without any decompression library\n");
	skip();
	return (struct bytes){ 0 };
}

static void assert_unpacked_by_guest(const struct rig *rig, struct bytes image, uint64_t load)
{
	uint64_t pm_size = image.size - SETUP_SIZE;

	assert_memory_equal(ram_at(rig, load, pm_size), image.data + SETUP_SIZE, pm_size);
	assert_zero(rig, load + pm_size, 1 * MIB);
	assert_int_equal(zero_page(rig)->hdr.code32_start, load);
}

/* --- the fast way -------------------------------------------------------------------------------
 */

static void the_kernel_is_unpacked_into_its_place(void **state)
{
	enum compression type = *(const enum compression *)*state;
	struct bytes image = make_image(type);
	struct elf_spec spec = vmlinux_spec();
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	assert_string_equal(x86_boot__format(rig.boot), "bzImage");
	assert_int_equal(nr_info, 0);
	assert_long64(&rig);
	assert_int_equal(rig.entry.rip, spec.entry);
	assert_elf_loaded(&rig, &spec);
	assert_nothing_else(&rig, &spec);
	assert_zero_page(&rig);
	rig__free(&rig);
	bytes__free(&image);
}

static void loading_again_undoes_what_the_guest_did(void **state)
{
	struct bytes image = any_image();
	struct elf_spec spec = vmlinux_spec();
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	memset(guest_memory__at(&rig.ram, 0x500, 0x40000), 0xcc, 0x40000);
	memset(guest_memory__at(&rig.ram, KERNEL_GPA - MIB, 8 * MIB), 0xcc, 8 * MIB);
	assert_int_equal(rig__load(&rig), 0);
	assert_long64(&rig);
	assert_elf_loaded(&rig, &spec);
	assert_zero_page(&rig);
	rig__free(&rig);
	bytes__free(&image);
}

static void the_setup_header_is_copied_to_its_end_and_no_further(void **state)
{
	struct bytes image = any_image();
	const struct boot_params *params;
	struct setup_header expected;
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	params = zero_page(&rig);
	expected = *header_of(image);
	expected.type_of_loader = 0xff;
	expected.cmd_line_ptr = X86_CMDLINE;
	assert_memory_equal(&params->hdr, &expected, sizeof(expected));
	assert_zero(&rig, X86_ZERO_PAGE + 0x26c, 0x2d0 - 0x26c);
	assert_zero(&rig, X86_ZERO_PAGE, 0x70);
	assert_zero(&rig, X86_ZERO_PAGE + 0x78, 0x1e8 - 0x78);
	rig__free(&rig);

	/* As long as can be told: not into what comes behind it. */
	header_of(image)->jump = 0xffeb;
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	assert_int_equal(*ram_at(&rig, X86_ZERO_PAGE + 0x28f, 1), 0xee);
	assert_int_equal(*ram_at(&rig, X86_ZERO_PAGE + 0x290, 1), 0);
	rig__free(&rig);

	/* As short: fields that it does not have are 0. */
	header_of(image)->jump = 0x30eb;
	rig__init(&rig, 64 * MIB);
	rig.cmdline = "";
	rig__boot(&rig, image);
	assert_int_equal(zero_page(&rig)->hdr.initrd_addr_max, 0x7fffffff);
	assert_zero(&rig, X86_ZERO_PAGE + 0x232, 0x2d0 - 0x232);
	rig__free(&rig);
	bytes__free(&image);
}

static void the_rsdp_is_told_from_protocol_2_14_on(void **state)
{
	static const uint16_t versions[] = { 0x20d, 0x20e, 0x20f };
	struct bytes image = any_image();

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct rig rig;

		header_of(image)->version = versions[i];
		rig__init(&rig, 64 * MIB);
		rig__boot(&rig, image);
		assert_int_equal(zero_page(&rig)->acpi_rsdp_addr,
				 versions[i] < 0x20e ? 0 : TEST_RSDP);
		rig__free(&rig);
	}
	bytes__free(&image);
}

static void every_page_written_is_reported(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__set_initrd(&rig, "initrd", 6);
	assert_all_writes_reported(&rig, image);
	rig__free(&rig);
	bytes__free(&image);
}

/* --- the slow way -------------------------------------------------------------------------------
 */

static void boot_kernel_leaves_unpacking_to_the_guest(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_KERNEL;
	rig__boot(&rig, image);
	assert_int_equal(nr_info, 0);
	assert_long64(&rig);
	assert_int_equal(rig.entry.rip, KERNEL_GPA + 0x200);
	assert_unpacked_by_guest(&rig, image, KERNEL_GPA);
	assert_zero_page(&rig);
	rig__free(&rig);
	bytes__free(&image);
}

static void a_kernel_of_32_bits_is_entered_in_32_bits(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	header_of(image)->xloadflags = 0;
	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_KERNEL;
	rig__boot(&rig, image);
	assert_prot32(&rig);
	assert_int_equal(rig.entry.rip, KERNEL_GPA);
	assert_int_equal(rig.entry.rbx, 0);
	assert_unpacked_by_guest(&rig, image, KERNEL_GPA);
	rig__free(&rig);
	bytes__free(&image);
}

static void an_old_kernel_is_loaded_at_1_mib(void **state)
{
	struct bytes image = any_image();
	struct setup_header *header = header_of(image);
	struct rig rig;

	/* Not relocatable. */
	header->relocatable_kernel = 0;
	header->kernel_alignment = 0;
	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_KERNEL;
	rig__boot(&rig, image);
	assert_unpacked_by_guest(&rig, image, 0x100000);
	rig__free(&rig);

	/* Relocatable, but without a preference: the first place that is aligned. */
	header->relocatable_kernel = 1;
	header->kernel_alignment = 0x400000;
	header->version = 0x209;
	rig__init(&rig, 64 * MIB);
	rig.cfg.boot = BOOT_KERNEL;
	rig__boot(&rig, image);
	assert_prot32(&rig);
	assert_unpacked_by_guest(&rig, image, 0x400000);
	rig__free(&rig);
	bytes__free(&image);
}

/* The guest has to do it, it is told why, and then it is done. */
static void assert_falls_back(struct bytes image, const char *why)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	assert_int_equal(nr_info, 1);
	assert_said(why);
	assert_int_equal(rig.entry.rip, KERNEL_GPA + 0x200);
	assert_unpacked_by_guest(&rig, image, KERNEL_GPA);
	rig__free(&rig);
}

static void without_the_library_the_guest_unpacks(void **state)
{
	struct bytes image = any_image();

	missing_library = decompress__detect(image.data + SETUP_SIZE + PAYLOAD_OFFSET, 64);
	assert_falls_back(image, "without the library");
	missing_library = COMPRESSION_NONE;
	bytes__free(&image);
}

static void an_unknown_compression_is_the_guests_business(void **state)
{
	struct bytes payload = bytes__text(5000), image = wrap(payload);

	assert_falls_back(image, "does not know");
	bytes__free(&image);
	bytes__free(&payload);
}

static void a_header_without_a_payload_is_no_error(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	header_of(image)->payload_length = 0;
	assert_falls_back(image, "too old");
	header_of(image)->payload_length = UINT32_MAX; /* not a field before 2.08 */
	header_of(image)->version = 0x207;
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	assert_said("too old");
	assert_prot32(&rig);
	rig__free(&rig);
	bytes__free(&image);
}

static enum compression any_type(void)
{
	struct bytes image = any_image();
	enum compression type = decompress__detect(image.data + SETUP_SIZE + PAYLOAD_OFFSET, 64);

	bytes__free(&image);
	return type;
}

static void assert_payload_falls_back(struct bytes content, const char *why)
{
	struct bytes image = make_image_of(any_type(), content, (uint32_t)content.size);

	assert_falls_back(image, why);
	bytes__free(&image);
}

static void a_payload_that_is_no_64_bit_elf_is_the_guests_business(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes content = bytes__text(5000);

	assert_payload_falls_back(content, "not a 64-bit ELF");
	bytes__free(&content);
	spec.machine = EM_AARCH64;
	content = elf__make(&spec);
	assert_payload_falls_back(content, "not a 64-bit ELF");
	bytes__free(&content);
	spec.machine = EM_386;
	spec.is32 = true;
	content = elf__make(&spec);
	assert_payload_falls_back(content, "not a 64-bit ELF");
	bytes__free(&content);
	spec = vmlinux_spec();
	spec.type = ET_REL;
	content = elf__make(&spec);
	assert_payload_falls_back(content, "not a 64-bit ELF");
	bytes__free(&content);
}

static void segments_out_of_order_are_the_guests_business(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes content;

	spec.segment[1].paddr = KERNEL_GPA + 0x80000;
	content = elf__make(&spec);
	assert_payload_falls_back(content, "order");
	bytes__free(&content);
}

static void an_entry_point_outside_is_the_guests_business(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes content;

	spec.entry = 0xffffffff81000000ull;
	content = elf__make(&spec);
	assert_payload_falls_back(content, "entry point");
	bytes__free(&content);
}

/* --- what is wrong with a payload ----------------------------------------------------------------
 */

/* Opening succeeds, for only its beginning is looked at; loading must not. */
static void assert_load_fails(struct bytes image, int err, const char *words)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	assert_int_equal(rig__open(&rig, image), 0);
	assert_int_equal(rig__load(&rig), err);
	assert_int_equal(nr_fatal, 1);
	assert_said("Unable to unpack kernel");
	assert_said(words);
	rig__free(&rig);
}

static void more_than_was_declared_is_a_bomb(void **state)
{
	enum compression type = *(const enum compression *)*state;
	struct elf_spec spec = vmlinux_spec();
	struct bytes content, image;

	if (type == COMPRESSION_GZIP)
		spec.size += 4; /* there, the declaration is also checked by zlib: see below */
	content = elf__make(&spec);
	image = make_image_of(type, content, (uint32_t)content.size - 1);
	assert_load_fails(image, -E2BIG, "more than the");
	bytes__free(&image);
	bytes__free(&content);
}

static void less_than_was_declared_is_an_error(void **state)
{
	enum compression type = *(const enum compression *)*state;
	struct elf_spec spec = vmlinux_spec();
	struct bytes content = elf__make(&spec);
	struct bytes image = make_image_of(type, content, (uint32_t)content.size + 1);

	if (type == COMPRESSION_GZIP)
		assert_load_fails(image, -EBADMSG, "is corrupt"); /* its own length is wrong */
	else
		assert_load_fails(image, -ENODATA, "ends too early");
	bytes__free(&image);
	bytes__free(&content);
}

static void a_declaration_beyond_ram_is_refused_at_once(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes content = elf__make(&spec), image;
	struct rig rig;

	image = make_image_of(any_type(), content, 50u << 20);
	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, image, -ENOSPC, "--mem");
	rig__free(&rig);
	bytes__free(&image);

	image = make_image_of(any_type(), content, UINT32_MAX);
	rig__init(&rig, 3 * GIB);
	rig__refused(&rig, image, -EINVAL, "unpacks to");
	rig__free(&rig);
	bytes__free(&image);
	bytes__free(&content);
}

static void a_declaration_too_small_for_the_segments_is_refused(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes content = elf__make(&spec);
	struct bytes image = make_image_of(any_type(), content, 0x40000);
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, image, -EINVAL, "truncated");
	rig__free(&rig);
	bytes__free(&image);
	bytes__free(&content);
}

static void a_corrupt_payload_does_not_boot(void **state)
{
	enum compression type = *(const enum compression *)*state;
	struct bytes image = make_image(type);
	uint32_t length = header_of(image)->payload_length;
	uint8_t *payload = image.data + SETUP_SIZE + PAYLOAD_OFFSET;
	struct rig rig;
	int ret;

	memset(payload + length * 3 / 4, 0xff, 16);
	rig__init(&rig, 64 * MIB);
	ret = rig__open(&rig, image);
	if (!ret)
		ret = rig__load(&rig);
	assert_true(ret == -EBADMSG || ret == -ENODATA || ret == -E2BIG);
	assert_int_equal(nr_fatal, 1);
	rig__free(&rig);
	bytes__free(&image);
}

static void a_payload_corrupt_from_the_start_is_refused_at_once(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	memset(image.data + SETUP_SIZE + PAYLOAD_OFFSET + 9, 0xff, 64);
	rig__init(&rig, 64 * MIB);
	assert_int_equal(rig__open(&rig, image), -EBADMSG);
	assert_said("Unable to open kernel");
	assert_said("corrupt");
	rig__free(&rig);
	bytes__free(&image);
}

/* --- what is wrong with a header -----------------------------------------------------------------
 */

static void assert_refused(struct bytes image, int err, const char *words)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, image, err, words);
	assert_said("Unable to open kernel");
	assert_said(rig.kernel.path);
	rig__free(&rig);
}

#define assert_field_refused(field, value, err, words) \
	do {                                           \
		struct bytes image_ = any_image();     \
                                                       \
		header_of(image_)->field = (value);    \
		assert_refused(image_, err, words);    \
		bytes__free(&image_);                  \
	} while (0)

static void each_hostile_field_is_refused_by_name(void **state)
{
	assert_field_refused(version, 0x201, -EINVAL, "2.01");
	assert_field_refused(version, 0, -EINVAL, "0.00");
	assert_field_refused(loadflags, 0, -EINVAL, "zImage");
	assert_field_refused(setup_sects, 255, -EINVAL, "truncated");
	assert_field_refused(syssize, UINT32_MAX, -EINVAL, "truncated");
	assert_field_refused(syssize, 0, -EINVAL, "nothing but a header");
	assert_field_refused(kernel_alignment, 0, -EINVAL, "kernel_alignment");
	assert_field_refused(kernel_alignment, 0x300000, -EINVAL, "kernel_alignment");
	assert_field_refused(kernel_alignment, 0x80000000, -ENOSPC, "--mem");
	assert_field_refused(pref_address, UINT64_MAX, -EINVAL, "pref_address");
	assert_field_refused(pref_address, 0x100000001, -EINVAL, "pref_address");
	assert_field_refused(pref_address, 0xfffff000, -ENOSPC, "--mem");
	assert_field_refused(init_size, UINT32_MAX, -ENOSPC, "--mem");
	assert_field_refused(init_size, 48u << 20, -ENOSPC, "--mem");
	assert_field_refused(payload_offset, UINT32_MAX, -EINVAL, "truncated");
	assert_field_refused(payload_length, UINT32_MAX, -EINVAL, "truncated");
	assert_field_refused(payload_length, 4, -EINVAL, "payload");
}

static void a_truncated_image_is_refused_wherever_it_ends(void **state)
{
	struct bytes image = any_image(), cut = image;
	struct rig rig;

	for (cut.size = image.size - 1; cut.size >= 0x212; cut.size -= cut.size > 0x2000 ? 997 : 61)
		assert_refused(cut, -EINVAL, "truncated");
	/* Nothing left to know it by. */
	cut.size = 0x205;
	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, cut, -ENOEXEC, "not a kernel");
	rig__free(&rig);
	bytes__free(&image);
}

static void setup_sects_0_means_4(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	header_of(image)->setup_sects = 0;
	rig__init(&rig, 64 * MIB);
	rig__boot(&rig, image);
	assert_int_equal(nr_info, 0);
	rig__free(&rig);
	bytes__free(&image);
}

static void no_byte_of_the_header_breaks_the_loader(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct bytes image = any_image();

	for (size_t byte = 0x1f1; byte < 0x290; byte++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			uint8_t before = image.data[byte];
			struct rig rig;

			image.data[byte] = values[v];
			rig__init(&rig, 64 * MIB);
			if (rig__open(&rig, image))
				assert_int_equal(nr_fatal, 1);
			else
				assert_int_equal(rig__load(&rig), 0);
			rig__free(&rig);
			image.data[byte] = before;
		}
	}
	bytes__free(&image);
}

static void other_ways_of_booting_want_an_elf(void **state)
{
	static const enum boot_mode modes[] = { BOOT_ELF, BOOT_PVH };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bytes image = any_image();
		struct rig rig;

		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = modes[i];
		rig__refused(&rig, image, -EINVAL, "needs an ELF");
		rig__free(&rig);
		bytes__free(&image);
	}
}

/* --- command line and initrd ---------------------------------------------------------------------
 */

static int open_with_cmdline(struct bytes image, size_t len)
{
	struct bytes cmdline = bytes__new(len + 1);
	struct rig rig;
	int ret;

	memset(cmdline.data, 'x', len);
	rig__init(&rig, 64 * MIB);
	rig.cmdline = (const char *)cmdline.data;
	ret = rig__open(&rig, image);
	if (!ret) {
		assert_int_equal(rig__load(&rig), 0);
		assert_cmdline(&rig, rig.cmdline);
	}
	rig__free(&rig);
	bytes__free(&cmdline);
	return ret;
}

static void the_command_line_is_as_long_as_the_kernel_takes(void **state)
{
	struct bytes image = any_image();

	assert_int_equal(open_with_cmdline(image, 0), 0);
	assert_int_equal(open_with_cmdline(image, CMDLINE_SIZE), 0);
	assert_int_equal(open_with_cmdline(image, CMDLINE_SIZE + 1), -E2BIG);
	assert_said("2048");
	assert_said("--params");
	header_of(image)->cmdline_size = 0;
	assert_int_equal(open_with_cmdline(image, 0), 0);
	assert_int_equal(open_with_cmdline(image, 1), -E2BIG);
	/* Whatever the kernel takes, there is an end to it. */
	header_of(image)->cmdline_size = UINT32_MAX;
	assert_int_equal(open_with_cmdline(image, X86_CMDLINE_MAX - 1), 0);
	assert_int_equal(open_with_cmdline(image, X86_CMDLINE_MAX), -E2BIG);
	header_of(image)->version = 0x205;
	header_of(image)->xloadflags = 0;
	assert_int_equal(open_with_cmdline(image, 255), 0);
	assert_int_equal(open_with_cmdline(image, 256), -E2BIG);
	bytes__free(&image);
}

static uint64_t place_of_initrd(struct bytes image, uint64_t ram_size, uint64_t size)
{
	uint64_t gpa = 0;
	struct rig rig;

	rig__init(&rig, ram_size);
	rig__set_hollow_initrd(&rig, size);
	if (!rig__open(&rig, image))
		gpa = rig.boot->initrd_gpa;
	rig__free(&rig);
	return gpa;
}

static void the_initrd_is_at_the_end_of_low_ram(void **state)
{
	struct bytes image = any_image(), initrd = bytes__text(10000);
	const uint64_t expected = 64 * MIB - TEST_ACPI - 3 * 4096;
	const struct boot_params *params;
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__set_initrd(&rig, initrd.data, initrd.size);
	rig__boot(&rig, image);
	params = zero_page(&rig);
	assert_int_equal(params->hdr.ramdisk_image, expected);
	assert_int_equal(params->hdr.ramdisk_size, initrd.size);
	assert_int_equal(params->ext_ramdisk_image, 0);
	assert_int_equal(params->ext_ramdisk_size, 0);
	assert_memory_equal(ram_at(&rig, expected, initrd.size), initrd.data, initrd.size);
	rig__free(&rig);
	bytes__free(&initrd);
	bytes__free(&image);
}

static void the_initrd_is_below_what_the_kernel_says(void **state)
{
	struct bytes image = any_image();
	struct setup_header *header = header_of(image);

	header->xloadflags = XLF_KERNEL_64;
	assert_int_equal(place_of_initrd(image, 3 * GIB, 4096), 0x80000000 - 4096);
	header->initrd_addr_max = 0x37ffffff;
	assert_int_equal(place_of_initrd(image, 3 * GIB, 4096), 0x38000000 - 4096);
	/* Before 2.03, the field is not there. */
	header->initrd_addr_max = 0x7fffffff;
	header->version = 0x202;
	assert_int_equal(place_of_initrd(image, 3 * GIB, 4096), 0x38000000 - 4096);
	bytes__free(&image);
}

static void the_initrd_is_above_4_gib_only_if_it_must_and_may(void **state)
{
	struct bytes image = any_image();

	assert_int_equal(place_of_initrd(image, 8 * GIB, 2 * GIB), 3 * GIB - TEST_ACPI - 2 * GIB);
	assert_int_equal(place_of_initrd(image, 8 * GIB, 3 * GIB), 9 * GIB - 3 * GIB);
	header_of(image)->xloadflags = XLF_KERNEL_64;
	assert_int_equal(place_of_initrd(image, 8 * GIB, 3 * GIB), 0);
	assert_said("initrd");
	bytes__free(&image);
}

static void an_initrd_above_4_gib_is_told_in_two_halves(void **state)
{
	struct bytes image = any_image();
	const struct boot_params *params;
	struct rig rig;

	rig__init(&rig, 4 * GIB);
	rig__set_initrd(&rig, "initrd", 6);
	assert_int_equal(rig__open(&rig, image), 0);
	rig.boot->initrd_gpa = 4 * GIB + 0x123000;
	assert_int_equal(rig__load(&rig), 0);
	params = zero_page(&rig);
	assert_int_equal(params->hdr.ramdisk_image, 0x123000);
	assert_int_equal(params->ext_ramdisk_image, 1);
	assert_memory_equal(ram_at(&rig, 4 * GIB + 0x123000, 6), "initrd", 6);
	rig__free(&rig);
	bytes__free(&image);
}

static void the_initrd_is_never_where_the_kernel_unpacks(void **state)
{
	const uint64_t room = 64 * MIB - TEST_ACPI - INIT_END;
	static const enum boot_mode modes[] = { BOOT_AUTO, BOOT_KERNEL };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct bytes image = any_image();
		struct rig rig;

		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = modes[i];
		rig__set_hollow_initrd(&rig, room);
		assert_int_equal(rig__open(&rig, image), 0);
		assert_int_equal(rig.boot->initrd_gpa, INIT_END);
		rig__free(&rig);

		rig__init(&rig, 64 * MIB);
		rig.cfg.boot = modes[i];
		rig__set_hollow_initrd(&rig, room + 1);
		rig__refused(&rig, image, -ENOSPC, "does not fit");
		assert_said(rig.initrd.path);
		assert_said("--mem");
		rig__free(&rig);
		bytes__free(&image);
	}
}

/* --- files ---------------------------------------------------------------------------------------
 */

static void assert_cannot_open(const char *path, int err, const char *why)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.kernel = path;
	rig__refused(&rig, (struct bytes){ 0 }, err, "Unable to open kernel");
	assert_said(path);
	assert_said(why);
	rig__free(&rig);
}

static void a_kernel_that_cannot_be_opened_is_named_with_the_reason(void **state)
{
	assert_cannot_open("/nowhere/vmlinuz", -ENOENT, "No such file");
	assert_cannot_open("/tmp", -EISDIR, "Is a directory");
	assert_cannot_open("/dev/null", -EINVAL, "neither a regular file nor a pipe");
}

static void an_empty_kernel_is_named(void **state)
{
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__refused(&rig, (struct bytes){ (uint8_t *)(uintptr_t) "", 0 }, -EINVAL, "empty");
	rig__free(&rig);
}

static void an_initrd_that_cannot_be_opened_is_named(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig.cfg.initrd = "/nowhere/initrd.img";
	rig__refused(&rig, image, -ENOENT, "Unable to open initrd /nowhere/initrd.img");
	rig__free(&rig);

	rig__init(&rig, 64 * MIB);
	rig__set_hollow_initrd(&rig, 65 * MIB);
	rig__refused(&rig, image, -EFBIG, "larger than the 64 MiB");
	rig__free(&rig);
	bytes__free(&image);
}

static void a_kernel_may_come_from_a_pipe(void **state)
{
	struct elf_spec spec = vmlinux_spec();
	struct bytes image = any_image();
	char path[32];
	int fds[2];
	struct rig rig;
	pid_t writer;

	assert_false(pipe(fds));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	writer = fork();
	if (!writer) {
		ssize_t n = write(fds[1], image.data, image.size);

		_exit(n != (ssize_t)image.size);
	}
	close(fds[1]);
	rig__init(&rig, 64 * MIB);
	rig.cfg.kernel = path;
	rig__boot(&rig, image);
	assert_elf_loaded(&rig, &spec);
	assert_int_equal(rig__load(&rig), 0);
	rig__free(&rig);
	close(fds[0]);
	waitpid(writer, NULL, 0);
	bytes__free(&image);
}

static void a_file_changed_meanwhile_is_not_loaded(void **state)
{
	struct bytes image = any_image();
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	rig__set_initrd(&rig, "initrd", 6);
	rig__boot(&rig, image);
	assert_false(ftruncate(rig.initrd.fd, 3));
	assert_int_equal(rig__load(&rig), -ESTALE);
	assert_said("initrd");
	assert_false(ftruncate(rig.kernel.fd, 1));
	assert_int_equal(rig__load(&rig), -ESTALE);
	assert_said(rig.kernel.path);
	rig__free(&rig);
	bytes__free(&image);
}

static void ram_that_is_not_as_the_map_says_is_an_error(void **state)
{
	struct bytes image = any_image();
	static char small[65536];
	struct rig rig;

	rig__init(&rig, 64 * MIB);
	assert_int_equal(rig__open(&rig, image), 0);
	assert_int_equal(
		guest_memory__add(&rig.ram, &(struct memory_region){ 0, sizeof(small), small }), 0);
	assert_int_equal(rig__load(&rig), -EFAULT);
	assert_int_equal(nr_fatal, 1);
	rig__free(&rig);
	bytes__free(&image);
}

#define FORMAT(test, i)                                                         \
	{                                                                       \
#test " (" #i ")", test, NULL, NULL, (void *)(uintptr_t)&all[i] \
	}
#define FOR_EACH_FORMAT(test)                                                                \
	FORMAT(test, 0), FORMAT(test, 1), FORMAT(test, 2), FORMAT(test, 3), FORMAT(test, 4), \
		FORMAT(test, 5), FORMAT(test, 6)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR_EACH_FORMAT(the_kernel_is_unpacked_into_its_place),
		cmocka_unit_test(loading_again_undoes_what_the_guest_did),
		cmocka_unit_test(the_setup_header_is_copied_to_its_end_and_no_further),
		cmocka_unit_test(the_rsdp_is_told_from_protocol_2_14_on),
		cmocka_unit_test(every_page_written_is_reported),
		cmocka_unit_test(boot_kernel_leaves_unpacking_to_the_guest),
		cmocka_unit_test(a_kernel_of_32_bits_is_entered_in_32_bits),
		cmocka_unit_test(an_old_kernel_is_loaded_at_1_mib),
		cmocka_unit_test(without_the_library_the_guest_unpacks),
		cmocka_unit_test(an_unknown_compression_is_the_guests_business),
		cmocka_unit_test(a_header_without_a_payload_is_no_error),
		cmocka_unit_test(a_payload_that_is_no_64_bit_elf_is_the_guests_business),
		cmocka_unit_test(segments_out_of_order_are_the_guests_business),
		cmocka_unit_test(an_entry_point_outside_is_the_guests_business),
		FOR_EACH_FORMAT(more_than_was_declared_is_a_bomb),
		FOR_EACH_FORMAT(less_than_was_declared_is_an_error),
		cmocka_unit_test(a_declaration_beyond_ram_is_refused_at_once),
		cmocka_unit_test(a_declaration_too_small_for_the_segments_is_refused),
		FOR_EACH_FORMAT(a_corrupt_payload_does_not_boot),
		cmocka_unit_test(a_payload_corrupt_from_the_start_is_refused_at_once),
		cmocka_unit_test(each_hostile_field_is_refused_by_name),
		cmocka_unit_test(a_truncated_image_is_refused_wherever_it_ends),
		cmocka_unit_test(setup_sects_0_means_4),
		cmocka_unit_test(no_byte_of_the_header_breaks_the_loader),
		cmocka_unit_test(other_ways_of_booting_want_an_elf),
		cmocka_unit_test(the_command_line_is_as_long_as_the_kernel_takes),
		cmocka_unit_test(the_initrd_is_at_the_end_of_low_ram),
		cmocka_unit_test(the_initrd_is_below_what_the_kernel_says),
		cmocka_unit_test(the_initrd_is_above_4_gib_only_if_it_must_and_may),
		cmocka_unit_test(an_initrd_above_4_gib_is_told_in_two_halves),
		cmocka_unit_test(the_initrd_is_never_where_the_kernel_unpacks),
		cmocka_unit_test(a_kernel_that_cannot_be_opened_is_named_with_the_reason),
		cmocka_unit_test(an_empty_kernel_is_named),
		cmocka_unit_test(an_initrd_that_cannot_be_opened_is_named),
		cmocka_unit_test(a_kernel_may_come_from_a_pipe),
		cmocka_unit_test(a_file_changed_meanwhile_is_not_loaded),
		cmocka_unit_test(ram_that_is_not_as_the_map_says_is_an_error),
	};

	return cmocka_run_group_tests_name("boot-bzimage", tests, NULL, NULL);
}
