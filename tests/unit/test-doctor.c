// SPDX-License-Identifier: GPL-2.0-or-later
/* lkvm doctor finds out what is so, and whatever is missing comes with its reason and a remedy. */
/* WRAP: sys__open sys__ioctl_val arch__vendor arch__caps arch__probe_host pr_fatal */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "kvm/doctor.h"
#include "kvm/kvm.h"

/*
 * A host: a directory that stands for /, in which device nodes are plain files; what opening one
 * gives if it is not its file; and the answers of its KVM.
 */
static struct {
	char root[64];
	const char *node;
	int error;
	int api_version;
	int run_size;
	enum arch_host_kind kind;
	unsigned int probes;
	unsigned int messages;
} host;

int __real_sys__open(const char *path, int flags);
int __wrap_sys__open(const char *path, int flags);
int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val);
const char *__wrap_arch__vendor(const struct kvm *kvm);
const struct arch_cap *__wrap_arch__caps(void);
enum arch_host_kind __wrap_arch__probe_host(struct kvm *kvm, char *why, size_t why_size);
void __wrap_pr_fatal(const char *fmt, ...);

int __wrap_sys__open(const char *path, int flags)
{
	assert_memory_equal(path, host.root, strlen(host.root));
	if (host.node && !strcmp(path + strlen(host.root), host.node))
		return -host.error;
	return __real_sys__open(path, flags);
}

int __wrap_sys__ioctl_val(int fd, unsigned long request, unsigned long val)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	switch (request) {
	case KVM_GET_API_VERSION:
		return host.api_version;
	case KVM_GET_VCPU_MMAP_SIZE:
		return host.run_size;
	case KVM_CHECK_EXTENSION:
		return val == KVM_CAP_IRQFD ? 1 : val == KVM_CAP_MAX_VCPUS ? 1024 : -EINVAL;
	default:
		fail_msg("unexpected ioctl %#lx", request);
		return -ENOTTY;
	}
}

const char *__wrap_arch__vendor(const struct kvm *kvm)
{
	assert_true(kvm->sys_fd >= 0);
	return "TEST";
}

const struct arch_cap *__wrap_arch__caps(void)
{
	static const struct arch_cap caps[] = {
		{ KVM_CAP_IRQFD, "OF_THE_ARCH", "tests" },
		{ 0, NULL, NULL },
	};

	return caps;
}

enum arch_host_kind __wrap_arch__probe_host(struct kvm *kvm, char *why, size_t why_size)
{
	host.probes++;
	snprintf(why, why_size, "because");
	return host.kind;
}

void __wrap_pr_fatal(const char *fmt, ...)
{
	host.messages++;
}

/* A file of the host, with the directories that lead to it; NULL for a directory. */
static void put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", host.root, path);
	for (char *slash = full + strlen(host.root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	if (!text) {
		assert_int_equal(mkdir(full, 0700), 0);
		return;
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void set_mode(const char *path, mode_t mode)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", host.root, path);
	assert_int_equal(chmod(full, mode), 0);
}

/* A host whose KVM works and which has nothing else. */
static int make_host(void **state)
{
	memset(&host, 0, sizeof(host));
	snprintf(host.root, sizeof(host.root), "%s", "/tmp/lkvm-doctor.XXXXXX");
	if (!mkdtemp(host.root))
		return -1;
	host.api_version = KVM_API_VERSION;
	host.run_size = 0x3000;
	host.kind = ARCH_HOST_HARDWARE;
	put("/dev/kvm", "");
	return 0;
}

static int remove_host(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", host.root);
	return system(command);
}

static struct doctor_facts examine(void)
{
	struct doctor_facts facts;

	doctor__collect(&facts, "/dev/kvm", host.root);
	return facts;
}

static const struct doctor_cap *cap_of(const struct doctor_facts *facts, const char *name)
{
	for (unsigned int i = 0; i < facts->nr_caps; i++)
		if (!strcmp(facts->cap[i].name, name))
			return &facts->cap[i];
	fail_msg("no capability %s", name);
	return NULL;
}

static void a_working_kvm_is_asked_and_probed(void **state)
{
	struct doctor_facts facts = examine();

	assert_int_equal(facts.kvm.state, DOCTOR_OK);
	assert_string_equal(facts.kvm.path, "/dev/kvm");
	assert_int_equal(facts.api_version, KVM_API_VERSION);
	assert_string_equal(facts.vendor, "TEST");
	assert_int_equal(facts.host, ARCH_HOST_HARDWARE);
	assert_string_equal(facts.why, "because");
	assert_int_equal(host.probes, 1);
	assert_int_equal(host.messages, 0);

	host.kind = ARCH_HOST_SOFTWARE;
	facts = examine();
	assert_int_equal(facts.host, ARCH_HOST_SOFTWARE);
}

static void capabilities_are_common_ones_and_the_architectures(void **state)
{
	struct doctor_facts facts = examine();

	assert_int_equal(cap_of(&facts, "IRQFD")->value, 1);
	assert_int_equal(cap_of(&facts, "MAX_VCPUS")->value, 1024);
	assert_int_equal(cap_of(&facts, "IOEVENTFD")->value, 0);
	assert_int_equal(cap_of(&facts, "OF_THE_ARCH")->value, 1);
	assert_string_equal(cap_of(&facts, "OF_THE_ARCH")->use, "tests");
}

static void an_error_of_opening_becomes_a_state(void **state)
{
	static const struct {
		int error;
		enum doctor_state state;
	} errors[] = {
		{ ENOENT, DOCTOR_ABSENT },   { ENOTDIR, DOCTOR_ABSENT },
		{ ENXIO, DOCTOR_NO_DRIVER }, { ENODEV, DOCTOR_NO_DRIVER },
		{ EACCES, DOCTOR_DENIED },   { EPERM, DOCTOR_FORBIDDEN },
		{ EMFILE, DOCTOR_FAILED },   { EBUSY, DOCTOR_FAILED },
	};

	host.node = "/dev/kvm";
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct doctor_facts facts;

		host.error = errors[i].error;
		facts = examine();
		assert_int_equal(facts.kvm.state, errors[i].state);
		assert_int_equal(facts.kvm.error, errors[i].error);
		assert_int_equal(facts.host, ARCH_HOST_NONE);
		assert_int_equal(facts.nr_caps, 0);
		assert_null(facts.vendor);
	}
	assert_int_equal(host.probes, 0);
	assert_int_equal(host.messages, 0);
}

static void a_group_is_named_only_if_it_helps(void **state)
{
	struct doctor_facts facts;
	char line[64];

	host.node = "/dev/kvm";
	host.error = EACCES;
	set_mode("/dev/kvm", 0600);
	facts = examine();
	assert_string_equal(facts.kvm.group, "");

	/* no /etc/group: the number must do */
	set_mode("/dev/kvm", 0660);
	facts = examine();
	snprintf(line, sizeof(line), "%u", getegid());
	assert_string_equal(facts.kvm.group, line);

	snprintf(line, sizeof(line), "other:x:%u:\nkvm:x:%u:somebody\n", getegid() + 1, getegid());
	put("/etc/group", line);
	facts = examine();
	assert_string_equal(facts.kvm.group, "kvm");

	/* where the mode is not what keeps us out */
	host.error = EPERM;
	facts = examine();
	assert_string_equal(facts.kvm.group, "");
	host.error = EACCES;

	/* reading alone is not enough */
	set_mode("/dev/kvm", 0640);
	facts = examine();
	assert_string_equal(facts.kvm.group, "");
}

static void what_is_not_kvm_is_not_probed(void **state)
{
	struct doctor_facts facts;

	host.api_version = -ENOTTY;
	facts = examine();
	assert_int_equal(facts.kvm.state, DOCTOR_NOT_KVM);
	assert_int_equal(facts.kvm.error, ENOTTY);
	assert_int_equal(facts.api_version, 0);

	host.api_version = 11;
	facts = examine();
	assert_int_equal(facts.kvm.state, DOCTOR_NOT_KVM);
	assert_int_equal(facts.api_version, 11);
	assert_int_equal(facts.host, ARCH_HOST_NONE);
	assert_int_equal(host.probes, 0);
}

static void a_kvm_that_cannot_be_used_is_none(void **state)
{
	struct doctor_facts facts;

	host.run_size = 16;
	facts = examine();
	assert_int_equal(facts.kvm.state, DOCTOR_FAILED);
	assert_int_equal(facts.host, ARCH_HOST_NONE);
	assert_int_equal(host.probes, 0);
	assert_int_equal(host.messages, 1);
}

static void a_host_without_anything_has_nothing(void **state)
{
	struct doctor_facts facts = examine();

	assert_null(facts.nested_module);
	assert_int_equal(facts.iommu_groups, 0);
	assert_int_equal(facts.vfio.state, DOCTOR_ABSENT);
	assert_int_equal(facts.iommufd.state, DOCTOR_ABSENT);
	assert_false(facts.vfio_pci);
	assert_int_equal(facts.nr_huge, 0);
	assert_int_equal(facts.tun.state, DOCTOR_ABSENT);
	assert_int_equal(facts.vhost_net.state, DOCTOR_ABSENT);
	assert_int_equal(facts.vhost_vsock.state, DOCTOR_ABSENT);
}

static void nesting_is_what_the_module_says(void **state)
{
	static const struct {
		const char *text;
		bool nested;
	} values[] = { { "Y\n", true },
		       { "1\n", true },
		       { "N\n", false },
		       { "0\n", false },
		       { "Yes\n", false } };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct doctor_facts facts;

		put("/sys/module/kvm_amd/parameters/nested", values[i].text);
		facts = examine();
		assert_string_equal(facts.nested_module, "kvm_amd");
		assert_int_equal(facts.nested, values[i].nested);
	}
}

static void groups_and_bound_devices_are_counted(void **state)
{
	struct doctor_facts facts;

	put("/sys/kernel/iommu_groups/0/type", "");
	put("/sys/kernel/iommu_groups/1/type", "");
	put("/sys/kernel/iommu_groups/17/type", "");
	put("/sys/bus/pci/drivers/vfio-pci/bind", "");
	facts = examine();
	assert_int_equal(facts.iommu_groups, 3);
	assert_true(facts.vfio_pci);
	assert_int_equal(facts.vfio_pci_devices, 0);

	put("/sys/bus/pci/drivers/vfio-pci/0000:01:00.0", "");
	put("/sys/bus/pci/drivers/vfio-pci/0000:02:00.1", "");
	facts = examine();
	assert_int_equal(facts.vfio_pci_devices, 2);
}

static void huge_pages_are_sorted_by_size(void **state)
{
	struct doctor_facts facts;

	put("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");
	put("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
	put("/sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", "lots\n");
	facts = examine();
	assert_int_equal(facts.nr_huge, 3);
	assert_true(facts.huge[0].size == 64 << 10);
	assert_true(facts.huge[0].total == 0 && facts.huge[0].free == 0);
	assert_true(facts.huge[1].size == 2 << 20);
	assert_true(facts.huge[1].total == 512 && facts.huge[1].free == 0);
	assert_true(facts.huge[2].size == 1 << 30);
	assert_true(facts.huge[2].total == 2 && facts.huge[2].free == 1);
}

static void odd_and_many_sizes_of_huge_pages_are_survived(void **state)
{
	struct doctor_facts facts;

	put("/sys/kernel/mm/hugepages/hugepages-18014398509481984kB", NULL);
	put("/sys/kernel/mm/hugepages/hugepages-kB", NULL);
	put("/sys/kernel/mm/hugepages/something", NULL);
	facts = examine();
	assert_int_equal(facts.nr_huge, 0);

	for (int i = 1; i <= DOCTOR_MAX_HUGE_SIZES + 2; i++) {
		char path[128];

		snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%dkB", i);
		put(path, NULL);
	}
	facts = examine();
	assert_int_equal(facts.nr_huge, DOCTOR_MAX_HUGE_SIZES);
}

static void device_nodes_are_opened(void **state)
{
	struct doctor_facts facts;

	put("/dev/vfio/vfio", "");
	put("/dev/iommu", "");
	put("/dev/net/tun", "");
	put("/dev/vhost-net", "");
	put("/dev/vhost-vsock", "");
	host.node = "/dev/vhost-net";
	host.error = ENODEV;
	facts = examine();
	assert_int_equal(facts.vfio.state, DOCTOR_OK);
	assert_int_equal(facts.iommufd.state, DOCTOR_OK);
	assert_int_equal(facts.tun.state, DOCTOR_OK);
	assert_int_equal(facts.vhost_net.state, DOCTOR_NO_DRIVER);
	assert_int_equal(facts.vhost_vsock.state, DOCTOR_OK);
}

static void the_limit_is_this_processs(void **state)
{
	struct rlimit old, limit;
	struct doctor_facts facts;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &old), 0);
	limit = (struct rlimit){ .rlim_cur = 65536, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	facts = examine();
	setrlimit(RLIMIT_MEMLOCK, &old);
	assert_true(facts.memlock_soft == 65536);
	assert_true(facts.memlock_hard ==
		    (old.rlim_max == RLIM_INFINITY ? DOCTOR_UNLIMITED : old.rlim_max));
}

static unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void no_descriptor_stays_open(void **state)
{
	const unsigned int before = open_descriptors();

	put("/etc/group", "kvm:x:0:\n");
	put("/sys/kernel/iommu_groups/0/type", "");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1\n");
	put("/dev/vhost-net", "");
	examine();
	assert_int_equal(open_descriptors(), before);

	host.api_version = -ENOTTY;
	examine();
	assert_int_equal(open_descriptors(), before);

	host.api_version = KVM_API_VERSION;
	host.run_size = -ENOTTY;
	examine();
	assert_int_equal(open_descriptors(), before);
}

/*
 * Printing.
 */

static struct doctor_facts everything(void)
{
	return (struct doctor_facts){
		.kvm = { .path = "/dev/kvm" },
		.api_version = 12,
		.vendor = "SVM",
		.host = ARCH_HOST_HARDWARE,
		.cap = { { "IRQFD", "interrupts", 1 }, { "MAX_VCPUS", "vCPUs", 1024 } },
		.nr_caps = 2,
		.nested_module = "kvm_amd",
		.nested = true,
		.vfio = { .path = "/dev/vfio/vfio" },
		.iommufd = { .path = "/dev/iommu" },
		.iommu_groups = 14,
		.vfio_pci = true,
		.vfio_pci_devices = 1,
		.huge = { { 2 << 20, 512, 500 } },
		.nr_huge = 1,
		.memlock_soft = DOCTOR_UNLIMITED,
		.memlock_hard = DOCTOR_UNLIMITED,
		.tun = { .path = "/dev/net/tun" },
		.vhost_net = { .path = "/dev/vhost-net" },
		.vhost_vsock = { .path = "/dev/vhost-vsock" },
	};
}

static void miss(struct doctor_node *node, enum doctor_state state, int error)
{
	node->state = state;
	node->error = error;
}

static struct doctor_facts nothing(void)
{
	struct doctor_facts facts = everything();

	facts.host = ARCH_HOST_NONE;
	facts.api_version = 0;
	facts.vendor = NULL;
	facts.nr_caps = 0;
	facts.nested_module = NULL;
	facts.nested = false;
	facts.iommu_groups = 0;
	facts.vfio_pci = false;
	facts.vfio_pci_devices = 0;
	facts.huge[0] = (struct doctor_huge){ .size = 1 << 30 };
	facts.memlock_soft = 65536;
	facts.memlock_hard = 1 << 20;
	miss(&facts.kvm, DOCTOR_DENIED, EACCES);
	strcpy(facts.kvm.group, "kvm");
	miss(&facts.vfio, DOCTOR_ABSENT, ENOENT);
	miss(&facts.iommufd, DOCTOR_NO_DRIVER, ENODEV);
	miss(&facts.tun, DOCTOR_FORBIDDEN, EPERM);
	miss(&facts.vhost_net, DOCTOR_DENIED, EACCES);
	miss(&facts.vhost_vsock, DOCTOR_ABSENT, ENOENT);
	return facts;
}

/* What a printer prints; free() it. */
static char *printed(void (*print)(const struct doctor_facts *, FILE *),
		     const struct doctor_facts *facts)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	print(facts, out);
	fclose(out);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("no '%s' in:\n%s", line, text);
}

static void a_host_that_has_all_needs_no_remedy(void **state)
{
	struct doctor_facts facts = everything();
	char *text = printed(doctor__print_text, &facts);

	expect_line(text, "Hardware KVM (SVM): stock kernels run on this host.\n");
	expect_line(text, "\n  /dev/kvm                   yes        ");
	expect_line(text, "\n  IRQFD                      yes        interrupts\n");
	expect_line(text, "\n  MAX_VCPUS                  1024       vCPUs\n");
	expect_line(text, "\n  huge pages of 2M           yes        500 of 512 are free\n");
	expect_line(text, "\n  locked memory              unlimited  ");
	assert_null(strstr(text, "remedy"));
	assert_null(strstr(text, " no "));
	free(text);
}

static void each_no_has_its_remedy(void **state)
{
	struct doctor_facts facts = nothing();
	char *text = printed(doctor__print_text, &facts);
	unsigned int nr = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char label[64], value[16];
		const char *next;

		if (sscanf(line, "  %26c %15s", label, value) != 2 || strcmp(value, "no") != 0)
			continue;
		nr++;
		next = line + strlen(line) + 1;
		if (strncmp(next, "      remedy: ", 14) != 0)
			fail_msg("no remedy for: %s", line);
	}
	assert_int_equal(nr, 10);
	free(text);
}

static void remedies_fit_what_is_missing(void **state)
{
	struct doctor_facts facts = nothing();
	char *text = printed(doctor__print_text, &facts);

	expect_line(text, "No usable KVM: no guest can run on this host.\n");
	expect_line(text, "running guests: Permission denied\n      remedy: join group kvm "
			  "(adduser USER kvm)");
	expect_line(text, "device pass-through: does not exist\n      remedy: modprobe vfio\n");
	expect_line(text, "has no driver behind it\n      remedy: modprobe iommufd");
	expect_line(text, "Operation not permitted\n      remedy: let this container");
	expect_line(text, "Permission denied\n      remedy: its mode lets only the owner in");
	expect_line(text, "hugepages-1048576kB/nr_hugepages\n");
	expect_line(text, "\n  locked memory              64K ");
	free(text);

	facts.nested_module = "kvm_intel";
	facts.kvm.state = DOCTOR_ABSENT;
	text = printed(doctor__print_text, &facts);
	expect_line(text, "remedy: modprobe -r kvm_intel && modprobe kvm_intel nested=1\n");
	expect_line(text, "remedy: modprobe kvm_intel, kvm_amd, kvm_hv or kvm; ");
	free(text);
}

static void software_kvm_is_told_from_hardware(void **state)
{
	struct doctor_facts facts = everything();
	char *text;

	facts.host = ARCH_HOST_SOFTWARE;
	facts.vendor = "none";
	strcpy(facts.why, "cmpxchg16b is not emulated");
	facts.cap[0].value = 0;
	text = printed(doctor__print_text, &facts);
	expect_line(text, "Software KVM: ");
	expect_line(text,
		    "\n  stock kernels              no         cmpxchg16b is not emulated\n    "
		    "  remedy: ");
	expect_line(text, "\n  IRQFD                      no         interrupts\n");
	expect_line(text, "      remedy: what is missing takes a newer kernel");
	free(text);
}

static void json_has_stable_keys(void **state)
{
	struct doctor_facts facts = nothing();
	char *text = printed(doctor__print_json, &facts);

	assert_string_equal(text, "{\n"
				  "  \"version\": 1,\n"
				  "  \"lkvm\": \"" LKVM_VERSION "\",\n"
				  "  \"arch\": \"" LKVM_ARCH "\",\n"
				  "  \"host\": \"none\",\n"
				  "  \"why\": null,\n"
				  "  \"kvm\": {\n"
				  "    \"device\": \"/dev/kvm\",\n"
				  "    \"state\": \"denied\",\n"
				  "    \"error\": \"Permission denied\",\n"
				  "    \"group\": \"kvm\",\n"
				  "    \"api_version\": 0,\n"
				  "    \"vendor\": null,\n"
				  "    \"capabilities\": {}\n"
				  "  },\n"
				  "  \"nested\": {\n"
				  "    \"module\": null,\n"
				  "    \"enabled\": false\n"
				  "  },\n"
				  "  \"pass_through\": {\n"
				  "    \"iommu_groups\": 0,\n"
				  "    \"vfio\": \"absent\",\n"
				  "    \"iommufd\": \"no_driver\",\n"
				  "    \"vfio_pci\": false,\n"
				  "    \"vfio_pci_devices\": 0\n"
				  "  },\n"
				  "  \"memory\": {\n"
				  "    \"huge_pages\": [\n"
				  "      {\n"
				  "        \"size\": 1073741824,\n"
				  "        \"total\": 0,\n"
				  "        \"free\": 0\n"
				  "      }\n"
				  "    ],\n"
				  "    \"memlock_soft\": 65536,\n"
				  "    \"memlock_hard\": 1048576\n"
				  "  },\n"
				  "  \"network\": {\n"
				  "    \"tun\": \"forbidden\",\n"
				  "    \"vhost_net\": \"denied\",\n"
				  "    \"vhost_vsock\": \"absent\"\n"
				  "  }\n"
				  "}\n");
	free(text);
}

static void json_has_capabilities_and_no_limit_is_null(void **state)
{
	struct doctor_facts facts = everything();
	char *text = printed(doctor__print_json, &facts);

	expect_line(text, "\n  \"host\": \"hardware\",\n");
	expect_line(text, "\n    \"capabilities\": {\n      \"IRQFD\": 1,\n      \"MAX_VCPUS\": "
			  "1024\n    }\n");
	expect_line(text, "\n    \"memlock_soft\": null,\n");
	expect_line(text, "\n    \"module\": \"kvm_amd\",\n    \"enabled\": true\n");
	free(text);
}

#define on_a_host(test) cmocka_unit_test_setup_teardown(test, make_host, remove_host)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_a_host(a_working_kvm_is_asked_and_probed),
		on_a_host(capabilities_are_common_ones_and_the_architectures),
		on_a_host(an_error_of_opening_becomes_a_state),
		on_a_host(a_group_is_named_only_if_it_helps),
		on_a_host(what_is_not_kvm_is_not_probed),
		on_a_host(a_kvm_that_cannot_be_used_is_none),
		on_a_host(a_host_without_anything_has_nothing),
		on_a_host(nesting_is_what_the_module_says),
		on_a_host(groups_and_bound_devices_are_counted),
		on_a_host(huge_pages_are_sorted_by_size),
		on_a_host(odd_and_many_sizes_of_huge_pages_are_survived),
		on_a_host(device_nodes_are_opened),
		on_a_host(the_limit_is_this_processs),
		on_a_host(no_descriptor_stays_open),
		cmocka_unit_test(a_host_that_has_all_needs_no_remedy),
		cmocka_unit_test(each_no_has_its_remedy),
		cmocka_unit_test(remedies_fit_what_is_missing),
		cmocka_unit_test(software_kvm_is_told_from_hardware),
		cmocka_unit_test(json_has_stable_keys),
		cmocka_unit_test(json_has_capabilities_and_no_limit_is_null),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
