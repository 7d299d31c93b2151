// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of groups, without the name service switch.
 */
#include "kvm/group.h"

#include <grp.h>
#include <stdio.h>

void group__name(const char *path, gid_t gid, char *name, size_t size)
{
	FILE *file = fopen(path, "re");
	const struct group *group;

	snprintf(name, size, "%u", gid);
	if (!file)
		return;
	while ((group = fgetgrent(file))) {
		if (group->gr_gid != gid)
			continue;
		snprintf(name, size, "%s", group->gr_name);
		break;
	}
	fclose(file);
}
