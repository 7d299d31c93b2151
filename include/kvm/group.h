/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of groups, for messages that say who may use a device.
 */
#ifndef KVM_GROUP_H
#define KVM_GROUP_H

#include <stddef.h>
#include <sys/types.h>

/**
 * group__name - the name of a group, or its number if it has none
 * @path: the list of groups: /etc/group
 * @gid:  which
 * @name: receives the name, cut off at @size bytes
 *
 * Read from the file itself: a static program cannot load the libraries that getgrgid() may want.
 */
void group__name(const char *path, gid_t gid, char *name, size_t size);

#endif
