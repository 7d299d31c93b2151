// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this host can do for guests: the facts behind lkvm doctor.
 *
 * Each fact comes from whoever decides: KVM is asked by ioctl and by running a tiny guest, device
 * nodes are opened, limits and pages are what the kernel says of them. The flags of /proc/cpuinfo
 * prove nothing and are not read.
 */
#include "kvm/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <linux/kvm.h>

#include "kvm/config.h"
#include "kvm/group.h"
#include "kvm/kvm.h"
#include "kvm/sys.h"

/* Those that every architecture has a use for; arch__caps() has the others. */
static const struct arch_cap common_caps[] = {
	{ KVM_CAP_USER_MEMORY, "USER_MEMORY", "guest memory" },
	{ KVM_CAP_NR_MEMSLOTS, "NR_MEMSLOTS", "pieces of guest memory, at the most" },
	{ KVM_CAP_NR_VCPUS, "NR_VCPUS", "vCPUs of a guest, as recommended" },
	{ KVM_CAP_MAX_VCPUS, "MAX_VCPUS", "vCPUs of a guest, at the most" },
	{ KVM_CAP_MAX_VCPU_ID, "MAX_VCPU_ID", "where ids of vCPUs end" },
	{ KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT", "stopping a vCPU without a race" },
	{ KVM_CAP_SYNC_MMU, "SYNC_MMU", "memory that the host can page and merge" },
	{ KVM_CAP_READONLY_MEM, "READONLY_MEM", "read-only memory" },
	{ KVM_CAP_IOEVENTFD, "IOEVENTFD", "guest writes as events" },
	{ KVM_CAP_IRQFD, "IRQFD", "interrupts by descriptor" },
	{ KVM_CAP_IRQFD_RESAMPLE, "IRQFD_RESAMPLE", "level interrupts by descriptor" },
	{ KVM_CAP_IRQ_ROUTING, "IRQ_ROUTING", "interrupt routes, message-signalled too" },
	{ KVM_CAP_DEVICE_CTRL, "DEVICE_CTRL", "devices inside KVM" },
	{ 0, NULL, NULL },
};

/* Modules that can have a guest run guests of its own; a host has one of them at the most. */
static const char *const nested_modules[] = { "kvm_intel", "kvm_amd", "kvm_hv", "kvm" };

struct path {
	char text[512];
};

/* A path too long is cut off, and then names nothing. */
static struct path path_of(const char *root, const char *path)
{
	struct path joined;

	snprintf(joined.text, sizeof(joined.text), "%s%s", root, path);
	return joined;
}

/* The first line of a small file, without its end; false if there is none. */
static bool read_line(const char *root, const char *path, char *line, int size)
{
	FILE *file = fopen(path_of(root, path).text, "re");
	bool ok;

	if (!file)
		return false;
	ok = fgets(line, size, file);
	fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static uint64_t read_number(const char *root, const char *path)
{
	char line[32];
	uint64_t number;

	if (!read_line(root, path, line, sizeof(line)) ||
	    config__parse_number(line, UINT64_MAX, &number))
		return 0;
	return number;
}

/* Entries of a directory that contain @part. */
static unsigned int count_entries(const char *root, const char *path, const char *part)
{
	DIR *dir = opendir(path_of(root, path).text);
	const struct dirent *entry;
	unsigned int nr = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.' && strstr(entry->d_name, part);
	closedir(dir);
	return nr;
}

static enum doctor_state state_of_error(int error)
{
	switch (error) {
	case 0:
		return DOCTOR_OK;
	case ENOENT:
	case ENOTDIR:
		return DOCTOR_ABSENT;
	case ENXIO:
	case ENODEV:
		return DOCTOR_NO_DRIVER;
	case EACCES:
		return DOCTOR_DENIED;
	case EPERM:
		return DOCTOR_FORBIDDEN;
	default:
		return DOCTOR_FAILED;
	}
}

/* Open a node; on success @fd receives the descriptor, or with NULL it is closed again. */
static void examine_node(struct doctor_node *node, const char *path, const char *root, int *fd)
{
	const struct path where = path_of(root, path);
	int opened = sys__open(where.text, O_RDWR);
	struct stat st;

	node->path = path;
	node->error = opened < 0 ? -opened : 0;
	node->state = state_of_error(node->error);
	if (node->state == DOCTOR_DENIED && !stat(where.text, &st) && (st.st_mode & 0060) == 0060)
		group__name(path_of(root, "/etc/group").text, st.st_gid, node->group,
			    sizeof(node->group));

	if (fd)
		*fd = opened;
	else
		sys__close(opened);
}

static void examine_kvm_node(struct doctor_facts *facts, const char *dev, const char *root)
{
	int fd, version;

	examine_node(&facts->kvm, dev, root, &fd);
	if (fd < 0)
		return;

	version = sys__ioctl_val(fd, KVM_GET_API_VERSION, 0);
	sys__close(fd);
	if (version < 0)
		facts->kvm.error = -version;
	else
		facts->api_version = version;
	if (version != KVM_API_VERSION)
		facts->kvm.state = DOCTOR_NOT_KVM;
}

static void examine_caps(struct doctor_facts *facts, const struct kvm *kvm,
			 const struct arch_cap *caps)
{
	for (; caps->name && facts->nr_caps < DOCTOR_MAX_CAPS; caps++)
		facts->cap[facts->nr_caps++] = (struct doctor_cap){
			.name = caps->name,
			.use = caps->use,
			.value = kvm__cap(kvm, caps->cap),
		};
}

static void examine_kvm(struct doctor_facts *facts, const char *dev, const char *root)
{
	const struct path where = path_of(root, dev);
	struct vm_config cfg;
	struct kvm kvm;

	examine_kvm_node(facts, dev, root);
	if (facts->kvm.state != DOCTOR_OK)
		return;

	config__init(&cfg);
	cfg.dev = where.text;
	if (kvm__open(&kvm, &cfg)) {
		facts->kvm.state = DOCTOR_FAILED;
	} else {
		facts->vendor = arch__vendor(&kvm);
		examine_caps(facts, &kvm, common_caps);
		examine_caps(facts, &kvm, arch__caps());
		facts->host = arch__probe_host(&kvm, facts->why, sizeof(facts->why));
	}
	kvm__destroy(&kvm);
	config__free(&cfg);
}

static void examine_nesting(struct doctor_facts *facts, const char *root)
{
	for (size_t i = 0; i < sizeof(nested_modules) / sizeof(nested_modules[0]); i++) {
		char path[64], line[8];

		snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", nested_modules[i]);
		if (!read_line(root, path, line, sizeof(line)))
			continue;
		facts->nested_module = nested_modules[i];
		facts->nested = !strcmp(line, "Y") || !strcmp(line, "1");
		return;
	}
}

static void examine_pass_through(struct doctor_facts *facts, const char *root)
{
	struct stat st;

	facts->iommu_groups = count_entries(root, "/sys/kernel/iommu_groups", "");
	facts->vfio_pci = !stat(path_of(root, "/sys/bus/pci/drivers/vfio-pci").text, &st);
	facts->vfio_pci_devices = count_entries(root, "/sys/bus/pci/drivers/vfio-pci", ":");
	examine_node(&facts->vfio, "/dev/vfio/vfio", root, NULL);
	examine_node(&facts->iommufd, "/dev/iommu", root, NULL);
}

/* A directory of /sys/kernel/mm/hugepages: "hugepages-2048kB" */
static void examine_huge_size(struct doctor_facts *facts, const char *root, const char *name)
{
	struct doctor_huge huge = { 0 };
	char path[128];
	uint64_t kib;

	if (facts->nr_huge == DOCTOR_MAX_HUGE_SIZES ||
	    sscanf(name, "hugepages-%" SCNu64, &kib) != 1 ||
	    __builtin_mul_overflow(kib, 1024, &huge.size))
		return;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%.32s/nr_hugepages", name);
	huge.total = read_number(root, path);
	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%.32s/free_hugepages", name);
	huge.free = read_number(root, path);
	facts->huge[facts->nr_huge++] = huge;
}

static int compare_huge_sizes(const void *a, const void *b)
{
	const struct doctor_huge *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

static void examine_huge_pages(struct doctor_facts *facts, const char *root)
{
	DIR *dir = opendir(path_of(root, "/sys/kernel/mm/hugepages").text);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		examine_huge_size(facts, root, entry->d_name);
	closedir(dir);
	qsort(facts->huge, facts->nr_huge, sizeof(facts->huge[0]), compare_huge_sizes);
}

static uint64_t limit_of(rlim_t limit)
{
	return limit == RLIM_INFINITY ? DOCTOR_UNLIMITED : limit;
}

static void examine_limits(struct doctor_facts *facts)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	facts->memlock_soft = limit_of(limit.rlim_cur);
	facts->memlock_hard = limit_of(limit.rlim_max);
}

void doctor__collect(struct doctor_facts *facts, const char *dev, const char *root)
{
	*facts = (struct doctor_facts){ .host = ARCH_HOST_NONE };

	examine_kvm(facts, dev, root);
	examine_nesting(facts, root);
	examine_pass_through(facts, root);
	examine_huge_pages(facts, root);
	examine_limits(facts);
	examine_node(&facts->tun, "/dev/net/tun", root, NULL);
	examine_node(&facts->vhost_net, "/dev/vhost-net", root, NULL);
	examine_node(&facts->vhost_vsock, "/dev/vhost-vsock", root, NULL);
}
